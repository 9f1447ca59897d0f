"""Strings by position, beside a list."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor import text_table
from predictor.text_table import TextTable, equal, strings

TEXTS = st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=8), max_size=30)


@given(TEXTS, st.lists(st.tuples(st.integers(0, 29), st.text("aé\U0001f600", max_size=5))))
def test_says_what_a_list_says(texts, changes) -> None:
    table: TextTable[str | None] = TextTable()
    table.extend(strings(texts[:7]))
    table.extend(strings(texts[7:]))
    expected = list(texts)
    for place, text in changes:
        if place < len(expected):
            expected[place] = text
            table.put(np.array([place]), strings([text]))
    assert list(table) == expected
    assert table[:] == expected
    backwards = list(range(len(expected)))[::-1]
    assert table.several(backwards) == expected[::-1]
    places = np.array([*range(len(expected)), len(expected), -1])
    assert table.take(places).to_pylist() == [*expected, None, None]


def test_what_has_been_replaced_does_not_stay_in_memory(monkeypatch) -> None:
    monkeypatch.setattr(text_table, "_LEAST_WASTE", 100)
    table: TextTable[str | None] = TextTable()
    table.extend(strings(["x" * 10, None, "é"] * 50))
    for round_ in range(100):
        table.put(np.arange(0, 150, 3), strings([f"{round_:05}"] * 50))
    assert table[0] == table[147] == "00099"
    assert table[1] is None
    assert table[149] == "é"
    assert len(table.arrays[0]) <= 2 * 1024  # 350 bytes are used; 25,000 have been put


@given(TEXTS, TEXTS)
def test_columns_are_compared_as_lists_are(one, other) -> None:
    length = min(len(one), len(other))
    one, other = one[:length], other[:length]
    for first, second in ((one, other), (one, one)):
        found = equal(strings(first), strings(second)).tolist()
        assert found == [a == b for a, b in zip(first, second, strict=True)]


@given(TEXTS)
def test_strings_are_those_of_arrow(texts) -> None:
    assert strings(texts).equals(pa.array(texts, pa.string()))


@pytest.mark.parametrize("places", [[0, 2], [-1]])
def test_there_is_nothing_beyond_the_table(places) -> None:
    table: TextTable[str] = TextTable()
    table.extend(strings(["a", "b"]))
    with pytest.raises(IndexError):
        table.several(places)


def test_slices_of_columns_are_read_from_where_they_begin() -> None:
    table: TextTable[str | None] = TextTable()
    table.extend(pa.array([None, "ab", None, "c", "def"]).slice(1, 3))
    assert list(table) == ["ab", None, "c"]
