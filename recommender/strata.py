"""Which rows go to which of B blocks, so that ratings can be learned side by side without conflict.

Users and items are cut into B blocks each. In stratum s, block b of the users meets block
``(b + s) mod B`` of the items: no two of the B pairs touch the same row, so they are learned at
the same time, and the result is that of learning them one after the other.

With fewer workers than blocks the strata need not be waited for one by one. A worker has a group of
W-th part of the users' blocks, and goes as far as it can with the items' blocks that are with it:
in its first round with those of its own group, half of the pairs, in the next W - 1 rounds with the
groups of the others, as they come, and in a last one with the rest of the first. Each row meets the
others in the order of the strata nevertheless, so the result is the same, bit for bit, for any W.

Ids with many ratings are dealt out one by one, the largest first, to the block that has the fewest
ratings; all others by a hash of the id, so that every block gets its fair share of ratings, less
what the dealt-out ones of it have. However skewed the ratings are, no block waits long for another.

References: Gemulla, Nijkamp, Haas and Sismanis (2011), "Large-scale matrix factorization with
distributed stochastic gradient descent"; Graham (1969), "Bounds on multiprocessing timing
anomalies".
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recommender.initial import hashed, string_buffers
from recommender.rating_head import Codes

# Other than those of the initial rows, or blocks would be alike in their factors.
_SALT = 0xA0761D6478BD642F
# An id is dealt out where it has more than this part of a block's fair share.
HEAVY = 1 / 16


@dataclass(frozen=True)
class Schedule:
    """Which worker learns which pairs of blocks, and when.

    Attributes
    ----------
    blocks : int
        B.
    workers : int
        W, at most B.
    """

    blocks: int
    workers: int

    @property
    def rounds(self) -> int:
        """After each the items' blocks change places."""
        return self.workers + (self.workers < self.blocks)

    def worker(self, block: int) -> int:
        """Who has a block of the users throughout, and that block of the items at first."""
        return block * self.workers // self.blocks

    def holder(self, item_block: int, number: int) -> int:
        """Who has a block of the items in a round."""
        return (self.worker(item_block) - number) % self.workers

    def stratum(self, user_block: int, item_block: int) -> int:
        """The stratum of a pair."""
        return (item_block - user_block) % self.blocks

    def pairs(self, worker: int, number: int) -> list[tuple[int, int]]:
        """Blocks of users and items that a worker learns in a round, in this order.

        Examples
        --------
        >>> Schedule(blocks=3, workers=3).pairs(worker=2, number=1)
        [(2, 0)]
        >>> halves = Schedule(blocks=4, workers=2)
        >>> halves.pairs(worker=0, number=0), halves.pairs(worker=0, number=2)
        ([(0, 0), (1, 1), (0, 1)], [(1, 0)])
        """
        users, items = (
            [block for block in range(self.blocks) if holder(block) == worker]
            for holder in (self.worker, lambda block: self.holder(block, number))
        )
        pairs = [(user, item) for user in users for item in items]
        if number == 0:
            pairs = [(user, item) for user, item in pairs if item >= user]
        elif number == self.workers:
            pairs = [(user, item) for user, item in pairs if item < user]
        return sorted(pairs, key=lambda pair: self.stratum(*pair))


@dataclass(frozen=True)
class Dealing:
    """Which block each id of one side belongs to.

    Attributes
    ----------
    heavy : mapping
        The blocks of the ids that have many ratings.
    ends : tuple of float
        Of the others those whose hash, as a fraction, is below the first number belong to the
        first block, and so on; the last one is 1.
    """

    heavy: Mapping[str, int]
    ends: tuple[float, ...]

    def blocks_of(self, ids: pa.StringArray) -> Codes:
        """Each id's block, ``(length,) int32``."""
        fractions = np.empty(len(ids))
        if len(ids):
            _hash(*string_buffers(ids), np.uint64(_SALT), fractions)
        numbers = np.searchsorted(self.ends, fractions, side="right").astype(np.int32)
        places = pc.index_in(pa.array(list(self.heavy), pa.string()), value_set=ids).to_pylist()
        for place, block in zip(places, self.heavy.values(), strict=True):
            if place is not None:
                numbers[place] = block
        return numbers


def deal(heavy: Mapping[str, int], ratings: int, blocks: int) -> Dealing:
    """Deal the ids of one side out to blocks.

    Parameters
    ----------
    heavy : mapping
        Ratings of each id that has more than `HEAVY` of a block's fair share.
    ratings : int
        Ratings of all ids.
    blocks : int

    Examples
    --------
    >>> dealt = deal({"a": 50, "b": 30, "c": 30}, ratings=200, blocks=2)
    >>> dealt.heavy, dealt.ends  # 90 others: 50 to the block of a, 40 to that of b and c
    ({'a': 0, 'b': 1, 'c': 1}, (0.5555555555555556, 1.0))
    """
    heap = [(0, block) for block in range(blocks)]
    dealt = {}
    for one in sorted(heavy, key=lambda one: (-heavy[one], one)):
        load, block = heapq.heappop(heap)
        dealt[one] = block
        heapq.heappush(heap, (load + heavy[one], block))
    loads = np.array([load for load, _ in sorted(heap, key=lambda entry: entry[1])], float)
    room = np.maximum(ratings / blocks - loads, 0.0)
    shares = room / room.sum() if room.sum() else np.full(blocks, 1 / blocks)
    ends = [*np.cumsum(shares)[:-1].tolist(), 1.0]  # the last exactly 1: every fraction is below
    return Dealing(dealt, tuple(ends))


@numba.njit(cache=True)
def _hash(offsets: Any, data: Any, salt: Any, fractions: Any) -> None:
    for row in range(len(fractions)):
        # 53 bits, as many as a fraction has
        fractions[row] = (hashed(offsets, data, row, salt) >> np.uint64(11)) * 2.0**-53
