"""One epoch over one block of a refit: what is done, whoever does it.

Ratings are cut in B × B blocks, users and items by their code modulo B; in stratum s block b is
that of users b and items b + s, so that the blocks of a stratum share no row and can be learned at
the same time (Gemulla et al., 2011). An epoch goes through the strata in order, and through each
block in a random order of its own, which depends on the seed, the epoch and the block alone: the
result is the same whoever learns a block, as long as strata follow one another for each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from recommender import ranking_head, rating_head
from recommender.history import Ratings
from recommender.model import MemoryModel
from recommender.ordering import stable_order
from recommender.ranking_head import RankingStep
from recommender.rating_head import Codes, Step
from recommender.rows import Rows

Pair = tuple[int, int]
"""A block of users and one of items."""

# The kernel weighs candidates by how unlikely they were to be in a micro-batch of so many of all
# ratings; here all items are candidates, whatever the block holds, and weigh the same.
_EVERY_CANDIDATE = 1
_DRAWS = 1  # apart from what else is drawn of a refit's seed


@dataclass(frozen=True)
class RatingEpoch:
    """An epoch of the rating head.

    Attributes
    ----------
    number : int
        From 1.
    seed : int
    mean : float
        μ, in rating units.
    step : Step
    """

    columns: ClassVar[tuple[str, ...]] = ("bias", "factors")
    """Those of the rows that it changes."""

    number: int
    seed: int
    mean: float
    step: Step

    def learn(
        self, pair: Pair, block: Ratings, user_rows: Rows, item_rows: Rows, items: Codes
    ) -> None:
        """Learn a block, in place; counts stay.

        Parameters
        ----------
        pair : (int, int)
        block : Ratings
            By position in the rows.
        user_rows, item_rows : Rows
        items : (n,) int32
            Positions of the items of the pair's block of items, in order.
        """
        random = np.random.default_rng((self.seed, _DRAWS, 0, self.number, *pair))
        own = _shuffled(block, random)
        rating_head.relearn(
            own.users, own.items, own.ratings, self.mean, user_rows, item_rows, self.step
        )


@dataclass(frozen=True)
class RankingEpoch:
    """An epoch of the ranking head; negatives are drawn from the rated items of a block.

    Attributes
    ----------
    number : int
        From 1.
    seed : int
    step : RankingStep
    scale : (float, float)
        Lowest and highest rating.
    """

    columns: ClassVar[tuple[str, ...]] = ("ranking", "step")
    """Those of the rows that it changes."""

    number: int
    seed: int
    step: RankingStep
    scale: tuple[float, float]

    def learn(
        self, pair: Pair, block: Ratings, user_rows: Rows, item_rows: Rows, items: Codes
    ) -> None:
        """Learn a block, in place; see `RatingEpoch.learn`."""
        random = np.random.default_rng((self.seed, _DRAWS, 1, self.number, *pair))
        own = _shuffled(block, random)
        ranking_head.learn(
            own.users,
            own.items,
            own.ratings,
            items[item_rows.n[items] > 0],
            _EVERY_CANDIDATE,
            user_rows,
            item_rows,
            self.step,
            self.scale,
            int(random.integers(2**63)),
        )


class Learner(Protocol):
    """Goes through some ratings, epoch after epoch: in threads, or on a cluster."""

    def learn(self, epoch: RatingEpoch | RankingEpoch, model: MemoryModel) -> None:
        """Learn an epoch, stratum after stratum; afterwards the model's rows have changed."""


def cut(ratings: Ratings, blocks: int) -> Iterator[tuple[Pair, Ratings]]:
    """Cut ratings into blocks, in their order; only those that hold some.

    Parameters
    ----------
    ratings : Ratings
    blocks : int
        B.

    Examples
    --------
    >>> few = Ratings(*(np.array(column) for column in ([0, 1, 3], [1, 2, 4], [3.0, 4.0, 5.0])))
    >>> [(pair, block.ratings.tolist()) for pair, block in cut(few, 2)]
    [((0, 1), [3.0]), ((1, 0), [4.0, 5.0])]
    """
    cells = (ratings.users % blocks) * blocks + ratings.items % blocks
    order = stable_order(cells)
    ends = np.cumsum(np.bincount(cells, minlength=blocks * blocks))
    for cell, rows in enumerate(np.split(order, ends[:-1])):
        if len(rows):
            yield (
                divmod(cell, blocks),
                Ratings(ratings.users[rows], ratings.items[rows], ratings.ratings[rows]),
            )


def members(block: int, blocks: int, length: int) -> Codes:
    """The codes of a block, of so many, in order."""
    return np.arange(block, length, blocks, dtype=np.int32)


def _shuffled(block: Ratings, random: np.random.Generator) -> Ratings:
    order = random.permutation(len(block))
    return Ratings(block.users[order], block.items[order], block.ratings[order])
