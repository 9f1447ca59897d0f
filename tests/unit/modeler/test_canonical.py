"""The compiled loop reads what a JSON parser reads, bit for bit, or leaves it alone."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modeler import canonical
from recommender.ratings import Rating, encode

LETTERS = st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"\\')
IDS = st.text(LETTERS, min_size=1, max_size=20)
RATINGS = st.builds(
    Rating,
    user=IDS,
    item=IDS,
    rating=st.sampled_from([0.5, 3.0, 4.5, -2.25, 1 / 3]),
    timestamp=st.floats(0, 4e9, allow_subnormal=False).map(lambda seconds: round(seconds, 3)),
    event_id=st.none() | IDS,
)


def parsed(*values: bytes) -> list[dict[str, Any]] | None:
    table = canonical.parse(pa.array(values, pa.binary()))
    return None if table is None else table.to_pylist()


def expected(value: bytes) -> dict[str, Any]:
    return {"event_id": None} | json.loads(value)


def test_what_ingest_writes() -> None:
    values = [
        b'{"user":"u1","item":"318","rating":4.0,"timestamp":1700000000.125}',
        b'{"user":"a b","item":"{}","rating":0.5,"timestamp":0.0,"event_id":"e-1"}',
    ]
    assert parsed(*values) == [
        {"user": "u1", "item": "318", "event_id": None, "rating": 4.0, "timestamp": 1700000000.125},
        {"user": "a b", "item": "{}", "event_id": "e-1", "rating": 0.5, "timestamp": 0.0},
    ]


@given(st.lists(RATINGS, min_size=1, max_size=30))
def test_the_same_as_json(ratings: list[Rating]) -> None:
    values = [encode(rating) for rating in ratings]
    found = parsed(*values)
    if found is None:  # a number with an exponent, or too many digits
        assert any(parsed(value) is None for value in values)
    else:
        assert found == [expected(value) for value in values]


@given(RATINGS, st.data())
def test_one_byte_changed(rating: Rating, data: st.DataObject) -> None:
    value = encode(rating)
    at = data.draw(st.integers(0, len(value)))
    end = data.draw(st.sampled_from([at, at + 1]))
    changed = value[:at] + data.draw(st.sampled_from(b'0eE.-+ {}[]",:\\\n\x7f\xffx')).to_bytes()
    found = parsed(changed + value[end:])
    assert found is None or found == [expected(changed + value[end:])]


@given(st.from_regex(r"-?[0-9]{0,17}(\.[0-9]{0,17})?([eE][+-]?[0-9])?", fullmatch=True))
@example("0.1234567890123")
@example("-0")
@example("04")
@example("1.")
@example(".5")
@example("999999999999999")
def test_numbers(text: str) -> None:
    value = f'{{"user":"u","item":"i","rating":{text},"timestamp":1}}'.encode()
    found = parsed(value)
    try:
        json.loads(text)
    except ValueError:
        assert found is None
    else:
        assert found is None or repr(found[0]["rating"]) == repr(float(text))
        plain = "e" not in text.lower() and sum(map(str.isdigit, text)) <= 15
        assert plain == (found is not None)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{}",
        b'{"user":"u","item":"i","rating":4.0,"timestamp":1.0} ',
        b'{"user":"u","item":"i","rating":4.0,"timestamp":1.0}{}',
        b'{"user":"u","item":"i","rating":4.0,"timestamp":1.0,"deleted":true}',
        b'{"user":"u","item":"i","rating":4.0,"timestamp":1.0,"event_id":null}',
        b'{"user":"u","item":"i","rating":4.0,"timestamp":1.0,"event_id":"e',
        b'{"user":"u","item":"i","rating":4.0,"timestamp":1.0',
        b'{"item":"i","user":"u","rating":4.0,"timestamp":1.0}',
        b'{"user":"\\u0075","item":"i","rating":4.0,"timestamp":1.0}',
        '{"user":"ü","item":"i","rating":4.0,"timestamp":1.0}'.encode(),
        b'{"user":"u","item":"i","deleted":true,"timestamp":1.0}',
        b'{"user":"","item":"i","rating":4.0,"timestamp":1.0}',
        b'{"user":"u","item":"","rating":4.0,"timestamp":1.0}',
        b'{"user":"u","item":"i","rating":4.0,"timestamp":1.0,"event_id":""}',
    ],
)
def test_what_is_left_alone(value: bytes) -> None:
    assert parsed(value) is None


@pytest.mark.parametrize(("field", "longest"), [("user", 256), ("item", 256), ("event_id", 128)])
def test_ids_that_are_too_long_are_left_alone(field: str, longest: int) -> None:
    record = {"user": "u", "item": "i", "rating": 4.0, "timestamp": 1.0, "event_id": "e"}

    def found(length: int) -> list[dict[str, Any]] | None:
        value = json.dumps({**record, field: "x" * length}, separators=(",", ":"))
        return parsed(value.encode())

    assert found(longest) == [{**record, field: "x" * longest}]
    assert found(longest + 1) is None


def test_a_part_of_a_column() -> None:
    values = [f'{{"user":"u{n}","item":"i","rating":1,"timestamp":2}}'.encode() for n in range(5)]
    table = canonical.parse(pa.array(values, pa.binary()).slice(2, 2))
    assert table is not None
    assert table["user"].to_pylist() == ["u2", "u3"]
