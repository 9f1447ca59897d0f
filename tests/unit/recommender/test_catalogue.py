"""Catalogue entries: what is accepted, what is refused, and the log's JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recommender.catalogue import CatalogueItem, decode_item, encode_item
from recommender.errors import InvalidInput

text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
names = text.filter(lambda name: name not in {"genres", "year"} and not name.startswith("_"))


@given(
    title=st.none() | text,
    genres=st.lists(text.filter(bool), max_size=4),
    year=st.none() | st.integers(-9999, 9999),
    more=st.dictionaries(names, json_values, max_size=3),
)
def test_decode_gives_back_what_encode_wrote(
    title: str | None, genres: list[str], year: int | None, more: dict[str, Any]
) -> None:
    item = CatalogueItem.model_validate(
        {"item": "m", "title": title, "attributes": {"genres": genres, "year": year, **more}}
    )
    written = json.loads(encode_item(item))
    known = ({"genres": genres} if genres else {}) | ({"year": year} if year is not None else {})
    assert written == {"item": "m", "title": title, "attributes": known | more}
    assert decode_item(encode_item(item)) == item


@given(st.none() | st.binary(max_size=100))
def test_decode_of_any_bytes_raises_nothing_but_invalid_input(value: bytes | None) -> None:
    with pytest.raises(InvalidInput):
        decode_item(value)


def nested(depth: int) -> Any:
    return [] if depth == 0 else [nested(depth - 1)]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"item": True}, "item"),
        ({"title": 7}, "title"),
        ({"title": "a\0b"}, "title"),
        ({"title": "x" * 1025}, "title"),
        ({"attributes": []}, "attributes"),
        ({"attributes": {"genres": "Drama"}}, "genres"),
        ({"attributes": {"genres": [1]}}, "genres"),
        ({"attributes": {"genres": [""]}}, "genres"),
        ({"attributes": {"genres": ["g"] * 65}}, "genres"),
        ({"attributes": {"year": "1994"}}, "year"),
        ({"attributes": {"year": True}}, "year"),
        ({"attributes": {"year": 1994.5}}, "year"),
        ({"attributes": {"year": 10_000}}, "year"),
        ({"attributes": {"price": float("nan")}}, "attributes"),
        ({"attributes": {"note": ["a\0b"]}}, "attributes"),
        ({"attributes": {"a\0b": 1}}, "attributes"),
        ({"attributes": {"deep": nested(16)}}, "attributes"),
        ({"attributes": {"long": "x" * 2**15}}, "32768 bytes"),
        ({"color": "red"}, "color"),
    ],
)
def test_a_wrong_entry_is_refused_by_the_name_of_its_field(
    fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError, match=field):
        CatalogueItem.model_validate({"item": "m"} | fields)
