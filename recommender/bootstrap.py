"""How sure a figure is: the paired bootstrap over users.

Users are what varies from one sample of people to the next, and a user's ratings belong together;
so whole users are drawn, with replacement, as many as there are. One draw is used for all methods:
what makes a user hard for one makes that user hard for the others too, and cancels in their
difference. Intervals are percentiles of the drawn figures.

References: Efron and Tibshirani (1993), chapters 13 and 16; Smucker, Allan and Carterette (2007),
"A comparison of statistical significance tests for information retrieval evaluation".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Drawn = npt.NDArray[np.float64]

_COUNTS_AT_ONCE = 1 << 22  # of a block of draws: 32 MB of float64


@dataclass(frozen=True)
class PerUser:
    """A figure by its parts: ``Σ total / Σ weight`` over users, or the root of that.

    Parameters
    ----------
    total, weight : numpy.ndarray of float64, shape (n_users,)
        E.g. a user's squared errors and test pairs. A user without any has 0 and 0.
    root : bool
        Whether the figure is the square root (RMSE).
    """

    total: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    root: bool = False

    @property
    def value(self) -> float:
        """The figure over all users; NaN over none."""
        return float(self._figure(self.total.sum(keepdims=True), self.weight.sum(keepdims=True))[0])

    def drawn(self, counts: npt.NDArray[np.float64]) -> Drawn:
        """The figure for each row of ``(n_draws, n_users)``: how often each user was drawn."""
        return self._figure(counts @ self.total, counts @ self.weight)

    def _figure(
        self, total: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        figure = np.full(len(total), math.nan)
        np.divide(total, weight, out=figure, where=weight > 0)
        return np.sqrt(figure) if self.root else figure


@dataclass(frozen=True)
class Interval:
    """A figure with the interval that holds it with the given confidence."""

    value: float
    low: float
    high: float


def bootstrap(samples: Mapping[str, PerUser], draws: int, seed: int) -> dict[str, Drawn]:
    """Each figure over the same draws of users.

    Parameters
    ----------
    samples : mapping of str to PerUser
        Of one length: the same users in the same order.
    draws : int
    seed : int

    Returns
    -------
    dict of str to (draws,) float64
        NaN where a draw had nothing to average over.
    """
    n_users = len(next(iter(samples.values())).total)
    random = np.random.default_rng(seed)
    drawn = {name: np.empty(draws) for name in samples}
    block = max(1, _COUNTS_AT_ONCE // max(n_users, 1))
    for start in range(0, draws, block):
        length = min(block, draws - start)
        counts = np.empty((length, n_users))
        for row in counts:
            row[:] = np.bincount(random.integers(0, n_users, n_users), minlength=n_users)
        for name, sample in samples.items():
            drawn[name][start : start + length] = sample.drawn(counts)
    return drawn


def interval(value: float, drawn: Drawn, confidence: float = 0.95) -> Interval:
    """The percentile interval of a figure; NaN ends where no draw had one.

    Examples
    --------
    >>> interval(0.5, np.linspace(0, 1, 101), confidence=0.9)
    Interval(value=0.5, low=0.05, high=0.95)
    """
    some = drawn[~np.isnan(drawn)]
    if not len(some):
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(some, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low.round(12)), float(high.round(12)))
