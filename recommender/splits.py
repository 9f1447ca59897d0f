"""Ratings divided into those to learn from and those to be judged by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from recommender.datasets import Dataset, IndexedRatings, concatenate
from recommender.errors import InvalidInput
from recommender.rating_head import Codes


@dataclass(frozen=True)
class Split:
    """Training and test ratings whose users and items share codes.

    Codes count from 0 in order of first appearance in the training rows; those of ids that occur in
    test rows only (cold) follow, so a user is warm if and only if its code is below
    ``n_train_users``, an item if below ``n_train_items``.
    """

    train: IndexedRatings
    test: IndexedRatings
    n_train_users: int
    n_train_items: int
    rating_min: float
    rating_max: float

    @classmethod
    def of(cls, train: Dataset, test: Dataset) -> Split:
        """The split with these two parts; the scale spans both."""
        whole = concatenate(train, test)
        ratings = whole.indexed()
        first, last = slice(0, len(train)), slice(len(train), None)
        parts = [
            IndexedRatings(
                ratings.users[part],
                ratings.items[part],
                ratings.ratings[part],
                ratings.timestamps[part],
                ratings.user_ids,
                ratings.item_ids,
            )
            for part in (first, last)
        ]
        return cls(
            train=parts[0],
            test=parts[1],
            n_train_users=_distinct(parts[0].users),
            n_train_items=_distinct(parts[0].items),
            rating_min=whole.rating_min,
            rating_max=whole.rating_max,
        )

    @property
    def user_ids(self) -> pa.StringArray:
        """All users' ids by code."""
        return self.train.user_ids

    @property
    def item_ids(self) -> pa.StringArray:
        """All items' ids by code."""
        return self.train.item_ids


def random_split(dataset: Dataset, train_share: float = 0.8, seed: int = 42) -> Split:
    """Each rating goes to training with probability ``train_share``.

    Training rows are those where ``numpy.random.default_rng(seed).random(n) < train_share``, in
    file order.

    Raises
    ------
    InvalidInput
        If the share is not between 0 and 1, or leaves either part empty.
    """
    if not 0 < train_share < 1:
        raise InvalidInput("train_share", train_share, "a number between 0 and 1")
    chosen = np.random.default_rng(seed).random(len(dataset)) < train_share
    if chosen.all() or not chosen.any():
        raise InvalidInput("train_share", train_share, "a share that leaves ratings in both parts")
    return Split.of(dataset.take(chosen), dataset.take(~chosen))


def _distinct(codes: Codes) -> int:
    """Number of distinct codes, given that they count up by first appearance."""
    return int(codes.max()) + 1 if len(codes) else 0
