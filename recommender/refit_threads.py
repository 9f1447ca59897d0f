"""A refit in one process: the blocks of a stratum learned side by side by threads.

The kernels are compiled and hold no lock of Python's; they work on the model's rows themselves.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from recommender.history import Ratings
from recommender.model import MemoryModel
from recommender.refit_blocks import RankingEpoch, RatingEpoch, cut, members


class Threads:
    """Learns ratings in threads (a `Learner`), until it is closed.

    Parameters
    ----------
    ratings : Ratings
        By code.
    blocks : int
        B: so many threads have work at most.
    threads : int
    """

    def __init__(self, ratings: Ratings, blocks: int, threads: int) -> None:
        self._blocks = blocks
        self._cut = dict(cut(ratings, blocks))
        self._pool = ThreadPoolExecutor(min(blocks, threads))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def learn(self, epoch: RatingEpoch | RankingEpoch, model: MemoryModel) -> None:
        """Learn an epoch; the blocks of a stratum at once."""
        items = [
            members(block, self._blocks, len(model.item_rows)) for block in range(self._blocks)
        ]

        def one(pair: tuple[int, int]) -> None:
            epoch.learn(pair, self._cut[pair], model.user_rows, model.item_rows, items[pair[1]])

        for stratum in range(self._blocks):
            pairs = [(block, (block + stratum) % self._blocks) for block in range(self._blocks)]
            for _ in self._pool.map(one, [pair for pair in pairs if pair in self._cut]):
                pass
