"""Ratings divided into those to learn from and those to be judged by.

At random, by time (one moment for all, or each user's last ones), one rating of each user, or in
folds. The same data, seed and shares give the same split on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
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


class Splitting(StrEnum):
    """The ways to divide a data set."""

    random = "random"
    temporal = "temporal"
    user_temporal = "user-temporal"
    leave_one_out = "leave-one-out"
    k_fold = "k-fold"


def splits(
    dataset: Dataset,
    splitting: Splitting,
    *,
    train_share: float = 0.8,
    folds: int = 5,
    seed: int = 42,
) -> list[Split]:
    """Divide a data set in one of the ways: several splits for `k_fold`, else one.

    Raises
    ------
    InvalidInput
        If that leaves a part empty.
    """
    if splitting is Splitting.k_fold:
        return k_fold(dataset, folds, seed)
    if splitting is Splitting.leave_one_out:
        return [leave_one_out(dataset, seed)]
    if splitting is Splitting.temporal:
        return [temporal_split(dataset, train_share)]
    if splitting is Splitting.user_temporal:
        return [user_temporal_split(dataset, train_share)]
    return [random_split(dataset, train_share, seed)]


def random_split(dataset: Dataset, train_share: float = 0.8, seed: int = 42) -> Split:
    """Each rating goes to training with probability ``train_share``.

    Training rows are those where ``numpy.random.default_rng(seed).random(n) < train_share``, in
    file order.

    Raises
    ------
    InvalidInput
        If the share is not between 0 and 1, or leaves either part empty.
    """
    return _divide(dataset, _drawn(dataset, train_share, seed))


def training_rows(dataset: Dataset, train_share: float = 0.8, seed: int = 42) -> Dataset:
    """The training rows of `random_split`, in file order: to search settings in, say.

    Raises
    ------
    InvalidInput
        If the share is not between 0 and 1.
    """
    return dataset.take(_drawn(dataset, train_share, seed))


def temporal_split(dataset: Dataset, train_share: float = 0.8) -> Split:
    """The earliest ratings train, the latest test: what a model in service meets.

    One moment for all users; ratings of one time stay in file order.

    Raises
    ------
    InvalidInput
        If the share is not between 0 and 1, or leaves either part empty.
    """
    _check_share(train_share)
    train = np.zeros(len(dataset), np.bool_)
    train[dataset.by_time()[: round(train_share * len(dataset))]] = True
    return _divide(dataset, train)


def user_temporal_split(dataset: Dataset, train_share: float = 0.8) -> Split:
    """Each user's latest ratings test, so that no user is cold.

    Of a user's n ratings the last ``floor(n (1 - train_share))`` by time are tested by.

    Raises
    ------
    InvalidInput
        If the share is not between 0 and 1, or leaves either part empty.
    """
    _check_share(train_share)
    from_last, counts = _places_from_last(dataset, dataset.timestamps)
    # 5 (1 - 0.8) is 0.9999999999999998 to a computer.
    tested = np.floor(counts * (1 - train_share) + 1e-9)
    return _divide(dataset, from_last >= tested)


def leave_one_out(dataset: Dataset, seed: int = 42) -> Split:
    """One rating of each user with at least two, drawn with equal chances, tests.

    Raises
    ------
    InvalidInput
        If no user has two ratings.
    """
    from_last, counts = _places_from_last(dataset, np.random.default_rng(seed).random(len(dataset)))
    return _divide(dataset, (from_last > 0) | (counts == 1))


def k_fold(dataset: Dataset, folds: int = 5, seed: int = 42) -> list[Split]:
    """Every rating tests once: ``folds`` splits whose test parts are as good as equally large.

    Raises
    ------
    InvalidInput
        If there are fewer than two folds, or more than ratings.
    """
    if not 2 <= folds <= len(dataset):
        raise InvalidInput("folds", folds, f"from 2 to {len(dataset)}, the number of ratings")
    fold = np.random.default_rng(seed).permutation(len(dataset)) % folds
    return [_divide(dataset, fold != number) for number in range(folds)]


def _drawn(dataset: Dataset, train_share: float, seed: int) -> npt.NDArray[np.bool_]:
    _check_share(train_share)
    return np.random.default_rng(seed).random(len(dataset)) < train_share


def _check_share(train_share: float) -> None:
    if not 0 < train_share < 1:
        raise InvalidInput("train_share", train_share, "a number between 0 and 1")


def _divide(dataset: Dataset, train: npt.NDArray[np.bool_]) -> Split:
    if train.all() or not train.any():
        part = "test" if train.all() else "training"
        raise InvalidInput("split", f"{len(dataset)} ratings", f"one that leaves {part} ratings")
    return Split.of(dataset.take(train), dataset.take(~train))


def _places_from_last(
    dataset: Dataset, key: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each rating its place from the end (0 is last) among its user's, and how many those are.

    Ordered by the key; equal keys stay in file order.
    """
    users = dataset.indexed().users
    counts = np.bincount(users)
    order = np.lexsort((key, users))
    ends = np.cumsum(counts)
    places = np.empty(len(users), np.int64)
    places[order] = ends[users[order]] - 1 - np.arange(len(users))
    return places, counts[users]


def _distinct(codes: Codes) -> int:
    """Number of distinct codes, given that they count up by first appearance."""
    return int(codes.max()) + 1 if len(codes) else 0
