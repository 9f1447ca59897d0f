"""A race of settings on one stream: all learn it side by side, the worse are taken out.

Every contestant tests each rating, then learns it (prequential), so all losses are of the same
ratings: compared in pairs, what is hard about a rating cancels. For micro-batch t of n_t ratings
let d_t be a contestant's mean squared error less the leader's. What is long past counts less, since
the best early need not stay the best; with half-life h in ratings, and a_t ratings since::

    w_t = n_t 2^(-a_t / h)      D = Σ w_t d_t / Σ w_t      V = Σ w_t (d_t - D)² / Σ w_t
    m = (Σ w_t)² / Σ w_t²       T = D / √(V / (m - 1))

T is the paired t statistic of m effective micro-batches with m - 1 degrees of freedom (without
fading and with equal batches exactly that of `scipy.stats.ttest_rel`). The leader is who has the
lowest faded loss. At look k, with c contestants besides the leader, one is taken out when T exceeds
the quantile of level ``1 - δ / (c (c + 1) k (k + 1))``. Anybody may turn out to lead, so as many
comparisons as there are ordered pairs, c (c + 1), could go wrong; over all pairs and looks the
levels add up to δ (union bound, as in Hoeffding races), as far as micro-batches are independent.
Between contestants that differ in their seed alone they are (docs/performance.md, ``race``). A look
is taken when the ratings have grown by a fifth since the last one, or by a fifth of h: each look
more makes all later ones stricter.

Places that become free may be taken by neighbours of the leader: its model as it is, with settings
a little different, so that they lose nothing of what has been learned.

References: Maron and Moore (1994), "Hoeffding races"; Birattari et al. (2002), "A racing algorithm
for configuring metaheuristics"; Gama, Sebastião and Rodrigues (2013), "On evaluating stream
learning algorithms" (fading); Jaderberg et al. (2017), "Population based training" (neighbours).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from recommender.faded_test import faded_t_test
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.race_curve import HALF_LIFE
from recommender.rating_head import Codes, Errors
from recommender.rows import Floats
from recommender.settings import Settings

# From look to look: of the ratings so far, at most of the half-life.
_GROWTH = 0.2
# Of a batch's weight when it was new: what is fainter is forgotten.
_FAINTEST = 1e-4
# The settings that a neighbour may have otherwise: those that change steps, not the rows' shape.
_VARIED = ("learning_rate", "bias_learning_rate", "regularization", "decay")
_STEP = 0.25  # standard deviation of the logarithm of a neighbour's setting over the leader's


class RaceSettings(Settings):
    """Settings of a race: its cost is that of so many models."""

    race_width: int = Field(
        8, ge=2, le=64, description="Contestants at most, the leader included: bounds the cost."
    )
    race_error: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="δ: chance that a race takes out a contestant that is no worse.",
    )
    race_half_life: int = Field(
        HALF_LIFE, ge=100, description="Ratings after which a loss counts half as much."
    )
    race_warm_up: int = Field(
        5, ge=3, le=10_000, description="Micro-batches that a contestant is given before a test."
    )
    race_spawn: bool = Field(
        False, description="Whether neighbours of the leader take the places that become free."
    )


class Learner(Protocol):
    """What races: anything that tests and learns a micro-batch."""

    def learn(self, users: Codes, items: Codes, ratings: Floats) -> Errors:
        """Test, then learn; the errors of testing."""


@dataclass(frozen=True)
class Pruned:
    """Who was taken out, and why.

    Parameters
    ----------
    name : str
    after : int
        Ratings that the race had seen.
    leader : str
        Who was better.
    worse_by : float
        Difference of the faded mean squared errors.
    statistic, quantile : float
        T, and what it exceeded.
    """

    name: str
    after: int
    leader: str
    worse_by: float
    statistic: float
    quantile: float


class Judgement:
    """Who leads and who is out, from losses alone; whose they are it does not ask.

    Parameters
    ----------
    names : iterable of str
    settings : RaceSettings
    """

    def __init__(self, names: Iterable[str], settings: RaceSettings) -> None:
        self.settings = settings
        self.pruned: list[Pruned] = []
        self.ratings = 0
        self._losses: dict[str, list[float]] = {name: [] for name in names}
        self._sizes: list[int] = []
        self._looks = 0
        self._next_look = 0.0  # ratings

    @property
    def running(self) -> list[str]:
        """Who is still in the race."""
        return list(self._losses)

    @property
    def leader(self) -> str:
        """Who has the lowest faded loss, among those that have been warmed up if there are any."""
        warm = [name for name in self._losses if self.is_warm(name)]
        return min(warm or self._losses, key=self.loss)

    @property
    def may_spawn(self) -> bool:
        """Whether a neighbour of the leader may join: a place is free, and the leader known."""
        room = len(self._losses) < self.settings.race_width
        # One at a time, and only from a leader that is known as such.
        everyone_warm = all(self.is_warm(name) for name in self._losses)
        return self.settings.race_spawn and room and bool(self.pruned) and everyone_warm

    def add(self, name: str) -> None:
        """Take a newcomer in; its losses begin with the next micro-batch."""
        self._losses[name] = []

    def remove(self, name: str) -> None:
        """Take somebody out, whatever the losses say."""
        del self._losses[name]

    def is_warm(self, name: str) -> bool:
        """Whether somebody has been given as many micro-batches as the test wants."""
        return len(self._losses[name]) >= self.settings.race_warm_up

    def loss(self, name: str) -> float:
        """A contestant's faded mean squared error; infinite before the first micro-batch."""
        losses = self._losses[name]
        if not losses:
            return math.inf
        return float(np.average(losses, weights=self._weights(len(losses))))

    def observe(self, ratings: int, squared: Mapping[str, float]) -> list[Pruned]:
        """Take in a micro-batch, then take out who is surely worse than the leader.

        Parameters
        ----------
        ratings : int
            In the micro-batch; at least 1.
        squared : mapping
            Sum of squared errors of each who is running; a newcomer's may be missing.

        Returns
        -------
        list of Pruned
            Who is out from now on.
        """
        for name, losses in self._losses.items():
            if losses or name in squared:
                losses.append(squared[name] / ratings)
        self._sizes.append(ratings)
        self.ratings += ratings
        self._forget()
        out = self._worse()
        for one in out:
            del self._losses[one.name]
        self.pruned += out
        return out

    def _worse(self) -> list[Pruned]:
        leader = self.leader
        tested = [name for name in self._losses if name != leader and self.is_warm(name)]
        if not tested or not self.is_warm(leader) or self.ratings < self._next_look:
            return []
        self._looks += 1
        self._next_look = self.ratings + _GROWTH * min(self.ratings, self.settings.race_half_life)
        pairs = len(tested) * (len(tested) + 1)
        level = self.settings.race_error / (pairs * self._looks * (self._looks + 1))
        found = []
        for name in tested:
            length = min(len(self._losses[one]) for one in (name, leader))
            differences = np.subtract(self._losses[name][-length:], self._losses[leader][-length:])
            test = faded_t_test(differences, self._weights(length))
            quantile = test.quantile(level)
            if test.statistic > quantile:
                found.append(
                    Pruned(name, self.ratings, leader, test.mean, test.statistic, quantile)
                )
        return found

    def _weights(self, length: int) -> npt.NDArray[np.float64]:
        """w of the last micro-batches, oldest first."""
        sizes = np.array(self._sizes[-length:], np.float64)
        since = sizes.sum() - np.cumsum(sizes)
        weights: npt.NDArray[np.float64] = sizes * 0.5 ** (since / self.settings.race_half_life)
        return weights

    def _forget(self) -> None:
        weights = self._weights(len(self._sizes)) / self._sizes
        faint = int(np.count_nonzero(weights < _FAINTEST))
        if faint:
            kept = len(self._sizes) - faint
            del self._sizes[:faint]
            for losses in self._losses.values():
                del losses[: max(len(losses) - kept, 0)]


class Race:
    """A race of learners in memory, all fed by it.

    Parameters
    ----------
    contestants : mapping of str to Learner
    settings : RaceSettings
    neighbour : callable, optional
        Makes a learner from the leader's, for a place that is free; called with the leader and the
        number of the newcomer.

    Raises
    ------
    ValueError
        If there are more contestants than the width, or fewer than one.
    """

    def __init__(
        self,
        contestants: Mapping[str, Learner],
        settings: RaceSettings,
        neighbour: Callable[[Learner, int], Learner] | None = None,
    ) -> None:
        if not 1 <= len(contestants) <= settings.race_width:
            raise ValueError(
                f"{len(contestants)} contestants; expected 1 to {settings.race_width} (race_width)"
            )
        self.settings = settings
        self._learners = dict(contestants)
        self._judgement = Judgement(contestants, settings)
        self._newcomers = 0
        self._neighbour = neighbour

    @property
    def running(self) -> list[str]:
        """Who is still in the race."""
        return self._judgement.running

    @property
    def pruned(self) -> list[Pruned]:
        """Who was taken out, in that order."""
        return self._judgement.pruned

    @property
    def ratings(self) -> int:
        """Ratings that the race has seen."""
        return self._judgement.ratings

    @property
    def leader(self) -> str:
        """Who has the lowest faded loss, among those that have been warmed up if there are any."""
        return self._judgement.leader

    def learner(self, name: str) -> Learner:
        """A contestant's learner."""
        return self._learners[name]

    def loss(self, name: str) -> float:
        """A contestant's faded mean squared error; infinite before the first micro-batch."""
        return self._judgement.loss(name)

    def learn(self, users: Codes, items: Codes, ratings: Floats) -> dict[str, Errors]:
        """Let all learn a micro-batch, then take out who is worse; the errors of each."""
        if not len(ratings):
            return {}
        errors = {name: one.learn(users, items, ratings) for name, one in self._learners.items()}
        squared = {name: found.squared for name, found in errors.items()}
        for one in self._judgement.observe(len(ratings), squared):
            del self._learners[one.name]
        self._spawn()
        return errors

    def _spawn(self) -> None:
        if self._neighbour is None or not self._judgement.may_spawn:
            return
        self._newcomers += 1
        name = f"neighbour {self._newcomers}"
        self._learners[name] = self._neighbour(self._learners[self.leader], self._newcomers)
        self._judgement.add(name)


def neighbour(seed: int) -> Callable[[Learner, int], Learner]:
    """Make neighbours of a `MemoryModel`: a copy that goes on with settings drawn around its own.

    The rates are multiplied by e^ε, ε ~ N(0, 0.25²), and kept within what is allowed.
    """

    def make(leader: Learner, number: int) -> Learner:
        assert isinstance(leader, MemoryModel)
        made = copy.deepcopy(leader)
        drawn = drawn_around(leader.settings, seed, number)
        made.settings = ModelSettings.model_validate({**leader.settings.model_dump(), **drawn})
        return made

    return make


def drawn_around(settings: ModelSettings, seed: int, number: int) -> dict[str, float]:
    """Settings of a neighbour: those that differ; the same for the same seed and number."""
    random = np.random.default_rng((seed, number))
    drawn = {
        name: float(getattr(settings, name) * math.exp(random.normal(0, _STEP))) for name in _VARIED
    }
    limits = {"learning_rate": 2.0, "bias_learning_rate": 2.0}
    return {name: min(value, limits.get(name, 1.0)) for name, value in drawn.items()}


def regret(losses: Mapping[str, Sequence[float]], chosen: str) -> float:
    """How much worse the chosen one's mean loss is than the best's in hindsight, as a share.

    Examples
    --------
    >>> regret({"a": [1.0, 1.0], "b": [1.0, 1.04]}, "b")
    0.02
    """
    means = {name: float(np.mean(values)) for name, values in losses.items()}
    return round(means[chosen] / min(means.values()) - 1, 12)
