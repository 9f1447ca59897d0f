"""Positions of ids, beside a dict."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from predictor import id_index
from predictor.id_index import IdIndex
from predictor.text_table import TextTable, strings

IDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=4), max_size=60, unique=True)


@given(IDS, IDS)
def test_finds_what_a_dict_finds(known, others) -> None:
    ids: TextTable[str] = TextTable()
    index = IdIndex(ids)
    for start in range(0, len(known), 7):
        ids.extend(strings(known[start : start + 7]))
        index.extend()
    expected = {text: place for place, text in enumerate(known)}
    wanted = [*known, *others]
    assert index.find(strings(wanted)).tolist() == [expected.get(text, -1) for text in wanted]
    assert [index.find_one(text) for text in wanted] == [expected.get(text) for text in wanted]


def test_many_ids_in_a_table_that_grows(monkeypatch) -> None:
    monkeypatch.setattr(id_index, "_FIRST_SLOTS", 4)
    many = [a + b + c for a in string.printable for b in "xyz" for c in string.printable]
    ids: TextTable[str] = TextTable()
    index = IdIndex(ids)
    for start in range(0, len(many), 999):
        ids.extend(strings(many[start : start + 999]))
        index.extend()
    assert index.find(strings(many)).tolist() == list(range(len(many)))
    assert index.find_one("not there") is None


def test_nothing_is_no_id() -> None:
    ids: TextTable[str] = TextTable()
    ids.extend(strings([""]))
    index = IdIndex(ids)
    index.extend()
    assert index.find(strings([None, ""])).tolist() == [-1, 0]
