"""The meaning of a rating: what is accepted, what is refused and how, and the log's JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recommender.errors import InvalidInput, InvalidRating
from recommender.ids import canonical_id
from recommender.ratings import Rating, Scale, decode, encode, encode_columns, rating_type

SCALE = Scale(0.5, 5.0)

ids = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=256)
ratings = st.builds(
    rating_type(SCALE),
    user=ids,
    item=ids,
    rating=st.floats(SCALE.low, SCALE.high),
    timestamp=st.floats(0, 4_102_444_799),
    event_id=st.none()
    | st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=128),
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
json_values = scalars | st.lists(scalars, max_size=2)
FIELDS = ("user", "item", "rating", "timestamp", "event_id", "more")


def record(**changes: Any) -> bytes:
    """A right record but for some fields; ``...`` leaves one out."""
    fields = {"user": "u", "item": "m", "rating": 4.0, "timestamp": 9.0} | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


@given(ratings)
def test_decode_gives_back_what_encode_wrote(rating: Rating) -> None:
    assert decode(encode(rating), SCALE) == rating


@given(ratings)
def test_the_log_holds_plain_json_with_the_contracts_fields(rating: Rating) -> None:
    written = json.loads(encode(rating))
    expected = {
        "user": rating.user,
        "item": rating.item,
        "rating": rating.rating,
        "timestamp": rating.timestamp,
    }
    if rating.event_id is not None:
        expected["event_id"] = rating.event_id
    assert written == expected
    assert list(written) == list(expected)


@given(ratings)
def test_writing_columns_equals_writing_ratings(rating: Rating) -> None:
    columns = ([rating.user], [rating.item], [rating.rating], [rating.timestamp])
    ((key, value),) = encode_columns(*columns)  # type: ignore[arg-type]
    assert key == rating.user.encode()
    assert decode(value, SCALE) == decode(
        encode(rating.model_copy(update={"event_id": None})), SCALE
    )


@settings(deadline=None)  # the examples are large
@given(st.none() | st.binary(max_size=200))
@example(b"[" * 100_000)
@example(b'{"user": 1' + b"0" * 5000 + b', "item": "m", "rating": 4, "timestamp": 9}')
@example(b'{"user": "u", "item": "m", "rating": 1' + b"0" * 5000 + b', "timestamp": 9}')
@example(b'{"user": "u", "item": "m", "rating": 4, "timestamp": 1' + b"0" * 5000 + b"}")
@example(b'{"user": [1' + b"0" * 5000 + b'], "item": "m", "rating": 4, "timestamp": 9}')
@example(b'{"user": "\\ud800", "item": "m", "rating": 4, "timestamp": 9}')
@example(b'{"user": "' + b"x" * 2**20 + b'", "item": "m", "rating": 4, "timestamp": 9}')
def test_decode_of_any_bytes_raises_nothing_but_invalid_rating(value: bytes | None) -> None:
    with pytest.raises(InvalidRating) as raised:
        decode(value, SCALE)
    assert len(str(raised.value)) < 400


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, json_values)))
def test_decode_of_any_json_gives_a_rating_on_the_scale_or_invalid_rating(value: Any) -> None:
    try:
        rating = decode(json.dumps(value).encode(), SCALE)
    except InvalidRating:
        return
    assert SCALE.low <= rating.rating <= SCALE.high
    assert decode(encode(rating), SCALE) == rating


@pytest.mark.parametrize(
    ("value", "field", "shown", "allowed"),
    [
        (b"", "value", "", "valid JSON"),
        (None, "value", None, "valid JSON"),
        (b"not json", "value", "not json", "valid JSON"),
        (b"\xff\xfe", "value", r"\xff\xfe", "valid JSON"),
        (b"[1]", "value", "[1]", "a JSON object"),
        (b"4", "value", 4, "a JSON object"),
        (record(user=...), "user", None, "required"),
        (record(item=...), "item", None, "required"),
        (record(rating=...), "rating", None, "required"),
        (record(timestamp=...), "timestamp", None, "required in the log"),
        (record(user=None), "user", None, "a string of 1 to 256 characters"),
        (record(user=""), "user", "", "a string of 1 to 256 characters"),
        (record(user=True), "user", True, "or a whole number"),
        (record(user=1.5), "user", 1.5, "or a whole number"),
        (record(user=float("nan")), "user", "nan", "or a whole number"),
        (record(user=["u"]), "user", "['u']", "or a whole number"),
        (record(item="a\nb"), "item", "a\nb", "without control characters"),
        (record(item="a\x00b"), "item", "a\x00b", "without control characters"),
        (record(item="x" * 257), "item", "x" * 77 + "...", "256 characters"),
        (record(item=10**256), "item", "an integer of 851 bits", "256 characters"),
        (record(rating="4"), "rating", "4", "a valid number"),
        (record(rating=True), "rating", True, "a valid number"),
        (record(rating=None), "rating", None, "a valid number"),
        (record(rating=float("nan")), "rating", "nan", "finite number"),
        (record(rating=float("inf")), "rating", "inf", "finite number"),
        (record(rating=0.4), "rating", 0.4, "greater than or equal to 0.5"),
        (record(rating=5.1), "rating", 5.1, "less than or equal to 5"),
        (record(timestamp=-1), "timestamp", -1, "seconds since 1970"),
        (record(timestamp=1.7e12), "timestamp", 1.7e12, "not milliseconds"),
        (record(timestamp=True), "timestamp", True, "ISO 8601"),
        (record(timestamp="yesterday"), "timestamp", "yesterday", "ISO 8601"),
        (record(timestamp=float("nan")), "timestamp", "nan", "seconds since 1970"),
        (record(event_id=7), "event_id", 7, "a string of 1 to 128 characters"),
        (record(event_id=""), "event_id", "", "a string of 1 to 128 characters"),
        (record(event_id="x" * 129), "event_id", "x" * 77 + "...", "128 characters"),
    ],
)
def test_a_wrong_record_names_field_value_and_what_is_allowed(
    value: bytes | None, field: str, shown: object, allowed: str
) -> None:
    with pytest.raises(InvalidRating) as raised:
        decode(value, SCALE)
    assert raised.value.field == field
    assert raised.value.value == shown
    assert allowed in raised.value.allowed


def test_a_record_without_time_takes_the_logs_own() -> None:
    assert decode(record(timestamp=...), SCALE, received=12.0).timestamp == 12.0
    assert decode(record(timestamp=None), SCALE, received=12.0).timestamp == 12.0
    assert decode(record(timestamp=9), SCALE, received=12.0).timestamp == 9.0


def test_unknown_fields_are_refused_from_clients_and_passed_over_in_the_log() -> None:
    assert decode(record(more=1), SCALE).user == "u"
    with pytest.raises(ValidationError, match="more"):
        rating_type(SCALE)(user="u", item="m", rating=4, more=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("given_id", "canonical"),
    [("u", "u"), (1, "1"), (1.0, "1"), (-0.0, "0"), (-3, "-3"), (2**70, str(2**70)), ("01", "01")],
)
def test_ids_have_one_spelling(given_id: object, canonical: str) -> None:
    assert canonical_id(given_id) == canonical


@pytest.mark.parametrize(
    ("given_time", "seconds"),
    [
        (0, 0.0),
        (978300760, 978300760.0),
        # 2001-01-01 00:00 UTC is 978307200: 11323 days since 1970 (31 years, 8 leap days).
        ("2001-01-01T00:00:00Z", 978307200.0),
        ("2001-01-01T02:00:00+02:00", 978307200.0),
        ("2001-01-01 00:00:00.5", 978307200.5),
        ("2001-01-01", 978307200.0),
        (None, None),
    ],
)
def test_times_are_seconds_or_iso_8601(given_time: Any, seconds: float | None) -> None:
    assert Rating(user="u", item="m", rating=4, timestamp=given_time).timestamp == seconds


@pytest.mark.parametrize(
    "time", ["1969-12-31", "2100-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31"]
)
def test_times_outside_of_1970_to_2099_are_refused(time: str) -> None:
    with pytest.raises(ValidationError, match="from 1970 to 2099"):
        Rating(user="u", item="m", rating=4, timestamp=time)  # type: ignore[arg-type]


def test_the_scale_is_in_the_schema_and_its_ends_are_allowed() -> None:
    kind = rating_type(Scale(1, 10))
    described = kind.model_json_schema()["properties"]["rating"]
    assert (described["minimum"], described["maximum"]) == (1, 10)
    assert kind(user="u", item="m", rating=1).rating == 1.0
    assert kind(user="u", item="m", rating=10).rating == 10.0
    with pytest.raises(InvalidInput, match=r"rating: 0\.5 is not allowed"):
        decode(record(rating=0.5), Scale(1, 10))
