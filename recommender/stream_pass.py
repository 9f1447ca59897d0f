"""One pass of the streaming engine over ratings in memory, in micro-batches, without any store."""

from __future__ import annotations

from collections.abc import Iterator

from recommender.datasets import IndexedRatings
from recommender.errors import InvalidInput
from recommender.model import MemoryModel
from recommender.rating_head import Errors


def learn_in_order(
    model: MemoryModel, ratings: IndexedRatings, micro_batch: int
) -> Iterator[Errors]:
    """Learn the ratings in their order, yielding the prequential errors of each micro-batch.

    Parameters
    ----------
    model : MemoryModel
        Made for these ratings' ids; learned in place.
    ratings : IndexedRatings
    micro_batch : int
        Ratings in each, at least 1; the last may have fewer.

    Raises
    ------
    InvalidInput
        If the micro-batch is smaller than one rating.
    """
    if micro_batch < 1:
        raise InvalidInput("micro-batch", micro_batch, "at least 1 rating")
    for start in range(0, len(ratings.ratings), micro_batch):
        rows = slice(start, start + micro_batch)
        yield model.learn(ratings.users[rows], ratings.items[rows], ratings.ratings[rows])
