"""The publish gate: is a candidate good enough to serve?

Candidate and serving model test every new rating before they learn it, so their losses are of the
same ratings and are compared in pairs. For micro-batch t of n_t ratings let d_t be the candidate's
mean squared error less the serving model's; weighted by n_t, the paired t test of
`recommender.faded_test` gives their mean D and its standard error s. With the margin m, a
share of RMSE, and E the serving model's mean squared error, as much worse is still good enough::

    Δ = E ((1 + m)² - 1)        passed:  D + q s < Δ        failed:  D - q s > Δ

q is the t quantile of the level. This is a test of non-inferiority (Walker and Nowacki, 2011): a
candidate passes when it is known not to be worse than the margin, not merely when it is not known
to be. The gate is asked again and again; to err rarely in all of this it looks only when the
ratings have grown by a quarter since its last look, k times so far, and look k has the level
``α / (k (k + 1))``, which adds up to α (union bound). Between looks the last verdict stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from recommender.faded_test import faded_t_test
from recommender.gate_settings import GateSettings

_GROWTH = 1.25  # of the ratings from look to look
_FEWEST_MICRO_BATCHES = 5  # fewer tell next to nothing of how much they differ


@dataclass(frozen=True)
class Losses:
    """Prequential errors of two models, micro-batch by micro-batch, in order.

    Attributes
    ----------
    ratings : (length,) int64
        Tested by both in each micro-batch; at least 1.
    candidate, serving : (length,) float64
        Sums of squared errors over them.
    """

    ratings: npt.NDArray[np.int64]
    candidate: npt.NDArray[np.float64]
    serving: npt.NDArray[np.float64]

    @property
    def total(self) -> int:
        """Ratings in all."""
        return int(self.ratings.sum())

    def rmse(self) -> tuple[float, float] | None:
        """That of the candidate and of the serving model; None without a rating."""
        if not self.total:
            return None
        return (
            math.sqrt(float(self.candidate.sum()) / self.total),
            math.sqrt(float(self.serving.sum()) / self.total),
        )

    def first(self, length: int) -> Losses:
        """Those of the first micro-batches."""
        return Losses(self.ratings[:length], self.candidate[:length], self.serving[:length])


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    Attributes
    ----------
    state : {'passed', 'waiting', 'failed'}
    reason : str
        With figures, for people.
    """

    state: Literal["passed", "waiting", "failed"]
    reason: str


def judge(losses: Losses, settings: GateSettings) -> Verdict:
    """Whether a candidate may serve, by all ratings that both models have tested.

    Examples
    --------
    >>> import numpy as np
    >>> n = np.full(100, 50)
    >>> noise = np.random.default_rng(1).normal(40, 4, 100)
    >>> judge(Losses(n, noise - 2, noise), GateSettings()).state
    'passed'
    >>> judge(Losses(n, noise + 5, noise), GateSettings()).state
    'failed'
    >>> judge(Losses(n[:3], noise[:3], noise[:3]), GateSettings()).reason
    'tested on 150 of at least 2,000 ratings'
    """
    looks, length = _last_look(losses.ratings, settings.gate_ratings)
    if not looks:
        least = f"{settings.gate_ratings:,} ratings"
        if losses.total >= settings.gate_ratings:
            least += f" and on {len(losses.ratings)} of {_FEWEST_MICRO_BATCHES} micro-batches"
        return Verdict("waiting", f"tested on {losses.total:,} of at least {least}")
    seen = losses.first(length)
    differences = (seen.candidate - seen.serving) / seen.ratings
    test = faded_t_test(differences, seen.ratings.astype(np.float64))
    level = settings.gate_error / (looks * (looks + 1))
    width = test.quantile(level) * test.error
    serving = float(seen.serving.sum()) / seen.total
    allowed = serving * ((1 + settings.gate_margin) ** 2 - 1)
    low, high = (math.sqrt(max(serving + test.mean + end, 0.0)) for end in (-width, width))
    rmse = seen.rmse()
    assert rmse is not None
    figures = (
        f"RMSE {rmse[0]:.4f} (between {low:.4f} and {high:.4f}) beside {rmse[1]:.4f} of the "
        f"serving model on {seen.total:,} ratings; up to {rmse[1] * (1 + settings.gate_margin):.4f}"
        " is good enough"
    )
    if test.mean + width < allowed:
        return Verdict("passed", figures)
    if test.mean - width > allowed:
        return Verdict("failed", figures)
    return Verdict("waiting", f"not yet certain: {figures}")


def _last_look(ratings: npt.NDArray[np.int64], least: int) -> tuple[int, int]:
    """How many looks have been due, and the micro-batches that the last of them had before it."""
    sums = np.cumsum(ratings)
    looks, length, wanted = 0, 0, float(least)
    while True:
        due = max(int(np.searchsorted(sums, wanted)) + 1, _FEWEST_MICRO_BATCHES)
        if due > len(sums):
            return looks, length
        looks, length = looks + 1, due
        wanted = float(sums[due - 1]) * _GROWTH
