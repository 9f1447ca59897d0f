"""The growing arrays of the item side."""

from __future__ import annotations

import numpy as np

from predictor.items import FIRST_CAPACITY, ItemTable
from recommender.rows import RowFormat, Rows

FORM = RowFormat(rank=3, ranking_rank=2)


def rows(values):
    made = Rows.empty(len(values), FORM)
    made.n[:] = values
    made.bias[:] = values
    made.factors[:] = np.array(values)[:, None]
    made.ranking[:] = -np.array(values)[:, None]
    return made


def test_rows_keep_their_items_while_the_arrays_grow():
    items = ItemTable(FORM)
    total = 5 * FIRST_CAPACITY + 7
    for start in range(0, total, 700):
        part = list(range(start, min(start + 700, total)))
        items.put([f"i{value}" for value in part], rows(part))
    assert len(items) == total
    for value in (0, FIRST_CAPACITY - 1, FIRST_CAPACITY, total - 1):
        place = items.position(f"i{value}")
        assert items.ids[place] == f"i{value}"
        assert items.n[place] == value
        assert items.factors[place].tolist() == [value] * 3
        assert items.ranking[place].tolist() == [-value] * 2


def test_an_item_keeps_its_position_and_takes_its_last_row():
    items = ItemTable(FORM)
    items.add(["x", "y"])
    items.put(["y", "z", "y"], rows([1, 2, 3]))
    assert list(items.ids) == ["x", "y", "z"]
    assert items.n.tolist() == [0, 3, 2]


def test_popularity_follows_every_change():
    items = ItemTable(FORM)
    items.put(["x", "z"], rows([1, 4]))
    assert items.popularity.tolist() == [0.25, 1.0]  # in parts of the most rated
    items.put(["x", "y"], rows([8, 0]))
    assert items.popularity.tolist() == [1.0, 0.5, 0.0]


def test_popularity_without_a_ranking_head_is_in_units_of_the_rating():
    form = RowFormat(rank=3, ranking_rank=0)
    items = ItemTable(form)
    made = Rows.empty(2, form)
    made.n[:] = [1, 3]
    items.put(["x", "y"], made)
    assert items.popularity.tolist() == [0.5, 1.0]  # ½ log₂(1 + n)


def test_reading_copies_nothing():
    items = ItemTable(FORM)
    items.put(["x"], rows([1]))
    assert np.shares_memory(items.factors, items.factors)
    assert items.factors.flags["C_CONTIGUOUS"]


def test_the_gram_matrix_follows_every_change() -> None:
    random = np.random.default_rng(6)
    items = ItemTable(RowFormat(rank=1, ranking_rank=4))
    items.add(["never rated"])
    for _ in range(20):
        some = [f"item {number}" for number in random.integers(0, 30, 8)]
        rows = Rows.empty(8, RowFormat(rank=1, ranking_rank=4))
        rows.n[:] = random.integers(0, 3, 8)
        rows.ranking[:] = random.normal(size=(8, 4))
        items.put(some, rows)
    rated = items.ranking[items.n > 0]
    np.testing.assert_allclose(items.gram, rated.T @ rated, rtol=1e-5, atol=1e-6)
    assert items.n_rated == len(rated)
