"""Splits: the stated rows, and codes that tell warm from cold."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from recommender.datasets import Dataset
from recommender.errors import InvalidInput
from recommender.generate import generate
from recommender.splits import Split, random_split


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
