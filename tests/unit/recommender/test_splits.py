"""Splits: the stated rows, and codes that tell warm from cold."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from recommender.datasets import Dataset
from recommender.errors import InvalidInput
from recommender.generate import generate
from recommender.splits import (
    Split,
    Splitting,
    k_fold,
    leave_one_out,
    random_split,
    splits,
    temporal_split,
    user_temporal_split,
)


def dataset(users: str, items: str) -> Dataset:
    return Dataset(
        name="tiny",
        users=pa.array(list(users)).dictionary_encode(),
        items=pa.array(list(items)).dictionary_encode(),
        ratings=np.ones(len(users), np.float32),
        timestamps=np.arange(len(users), dtype=np.float64),
    )


def test_cold_codes_come_after_warm_ones() -> None:
    split = Split.of(dataset("bab", "xyy"), dataset("cad", "zxy"))

    assert split.user_ids.to_pylist() == ["b", "a", "c", "d"]
    assert split.item_ids.to_pylist() == ["x", "y", "z"]
    assert (split.n_train_users, split.n_train_items) == (2, 2)
    assert split.test.users.tolist() == [2, 1, 3]
    assert split.test.items.tolist() == [2, 0, 1]
    assert split.test.timestamps.tolist() == [0, 1, 2]


def test_random_split_takes_the_stated_rows() -> None:
    data = generate(40, 30, 250, seed=1)

    split = random_split(data, 0.7, seed=5)

    chosen = np.random.default_rng(5).random(250) < 0.7
    users = np.array(data.users.to_pylist())
    ids = np.array(split.user_ids.to_pylist())
    assert ids[split.train.users].tolist() == users[chosen].tolist()
    assert ids[split.test.users].tolist() == users[~chosen].tolist()


@pytest.mark.parametrize("share", [0.0, 1.0, 1e-12])
def test_a_share_that_leaves_nothing_is_refused(share: float) -> None:
    with pytest.raises(InvalidInput):
        random_split(dataset("abc", "xyz"), share)


def timed(rows: list[tuple[str, str, float]]) -> Dataset:
    users, items, times = zip(*rows, strict=True)
    return Dataset(
        name="timed",
        users=pa.array(users).dictionary_encode(),
        items=pa.array(items).dictionary_encode(),
        ratings=np.arange(1, len(rows) + 1, dtype=np.float32),
        timestamps=np.array(times),
    )


ROWS = [
    ("a", "v", 5.0),
    ("a", "w", 1.0),
    ("b", "v", 2.0),
    ("a", "x", 3.0),
    ("b", "x", 4.0),
    ("a", "y", 6.0),
    ("a", "z", 2.0),
    ("c", "v", 9.0),
]


def numbers(split: Split) -> tuple[list[float], list[float]]:
    """Row numbers from 1 of both parts, as the ratings say them."""
    return split.train.ratings.tolist(), split.test.ratings.tolist()


def test_temporal_split_is_one_moment_for_all() -> None:
    # Times 5, 1, 2, 3, 4, 6, 2, 9: the two latest are rows 6 and 8.
    assert numbers(temporal_split(timed(ROWS), 0.75)) == ([1, 2, 3, 4, 5, 7], [6, 8])


def test_user_temporal_split_holds_out_each_users_last_ratings() -> None:
    # a has five: the last one is tested, at time 6; b has two and c one: floor(0.4) = 0.
    assert numbers(user_temporal_split(timed(ROWS), 0.8)) == ([1, 2, 3, 4, 5, 7, 8], [6])
    # Half: two of a's five (times 5 and 6), one of b's two (time 4).
    assert numbers(user_temporal_split(timed(ROWS), 0.5)) == ([2, 3, 4, 7, 8], [1, 5, 6])


def test_leave_one_out_takes_one_of_each_user_with_two() -> None:
    taken = set()
    for seed in range(30):
        split = leave_one_out(timed(ROWS), seed)
        users = sorted(split.user_ids.take(pa.array(split.test.users)).to_pylist())
        assert users == ["a", "b"]  # c has but one, which has to be learned from
        taken |= set(split.test.ratings.tolist())
    assert taken == {1, 2, 3, 4, 5, 6, 7}  # every rating's turn comes


def test_every_rating_tests_in_one_fold() -> None:
    folds = k_fold(timed(ROWS), 3, seed=4)

    tested = [fold.test.ratings.tolist() for fold in folds]
    assert sorted(row for rows in tested for row in rows) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert sorted(map(len, tested)) == [2, 3, 3]
    for fold in folds:
        assert set(fold.train.ratings.tolist()) | set(fold.test.ratings.tolist()) == set(
            range(1, 9)
        )


@pytest.mark.parametrize("splitting", list(Splitting))
def test_the_same_seed_gives_the_same_split(splitting: Splitting) -> None:
    first, second = (splits(timed(ROWS), splitting, train_share=0.5, folds=2) for _ in range(2))

    assert [numbers(split) for split in first] == [numbers(split) for split in second]


def test_what_can_not_be_divided_is_refused() -> None:
    with pytest.raises(InvalidInput, match="folds: 9"):
        k_fold(timed(ROWS), 9)
    with pytest.raises(InvalidInput, match="one that leaves test ratings"):
        leave_one_out(timed(ROWS[-1:]))
    with pytest.raises(InvalidInput, match="train_share"):
        temporal_split(timed(ROWS), 1.5)
