"""Reading the log: the quick way agrees with the careful one, and nothing is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeler import records
from modeler.records import DeadLetters
from recommender.errors import InvalidRating
from recommender.ratings import Scale, decode

SCALE = Scale(0.5, 5.0)
TIME = datetime(2026, 1, 1, tzinfo=UTC)


def log(*values: bytes | None) -> pa.Table:
    return pa.table(
        {
            "topic": ["ratings"] * len(values),
            "partition": pa.array([0] * len(values), pa.int32()),
            "offset": pa.array(range(len(values)), pa.int64()),
            "timestamp": pa.array([TIME] * len(values), pa.timestamp("us", "UTC")),
            "key": pa.array([b"k"] * len(values), pa.binary()),
            "value": pa.array(values, pa.binary()),
        }
    )


def good(**changes: object) -> bytes:
    rating = {"user": "u", "item": "i", "rating": 4.0, "timestamp": 9.5} | changes
    return json.dumps({name: value for name, value in rating.items() if value is not None}).encode()


def test_columns_of_good_records() -> None:
    dead = DeadLetters()
    read = records.ratings(log(good(), good(user="v", event_id="e", rating=0.5)), SCALE, dead)
    same = {"partition": 0, "item": "i", "rated_at": 9.5}
    assert read.to_pylist() == [
        {"offset": 0, "user": "u", "rating": 4.0, "event_id": None} | same,
        {"offset": 1, "user": "v", "rating": 0.5, "event_id": "e"} | same,
    ]
    assert not dead.rows


POISON = {
    "not JSON": b"{",
    "nothing": None,
    "empty": b"",
    "blank": b"   ",
    "a list": b"[]",
    "two objects": good() + good(),
    "two lines": good() + b"\n" + good(),
    "no user": good(user=None),
    "no rating": good(rating=None),
    "NaN": b'{"user":"u","item":"i","rating":NaN,"timestamp":1}',
    "above the scale": good(rating=5.5),
    "below the scale": good(rating=0.0),
    "rating is text": good(rating="4"),
    "rating is true": good(rating=True),
    "huge id": good(user="x" * 2**20),
    "empty id": good(item=""),
    "id with control character": good(item="a\x00b"),
    "id is a list": good(user=["u"]),
    "time before the epoch": good(timestamp=-1),
    "milliseconds": good(timestamp=1_700_000_000_000),
    "not UTF-8": b'{"user":"\xff","item":"i","rating":4,"timestamp":1}',
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_poison_is_set_aside_and_its_neighbours_are_learned(poison: bytes | None) -> None:
    dead = DeadLetters()
    read = records.ratings(log(good(), poison, good(user="v")), SCALE, dead)
    assert read["offset"].to_pylist() == [0, 2]
    (letter,) = dead.table().to_pylist()
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("ratings", 0, 1)
    assert letter["value"] == poison
    with pytest.raises(InvalidRating) as error:
        decode(poison, SCALE, received=TIME.timestamp())
    assert letter["reason"] == str(error.value)


def test_blank_and_double_records_do_not_make_up_for_each_other() -> None:
    dead = DeadLetters()
    read = records.ratings(log(b" ", good() + b" " + good(user="w"), good()), SCALE, dead)
    assert read["offset"].to_pylist() == [2]
    assert len(dead.rows) == 2


def test_whole_numbers_are_ids_and_a_missing_time_is_the_log_s() -> None:
    dead = DeadLetters()
    read = records.ratings(log(good(user=17, timestamp=None)), SCALE, dead)
    assert read["user"].to_pylist() == ["17"]
    assert read["rated_at"].to_pylist() == [TIME.timestamp()]


values = st.one_of(
    st.builds(
        good,
        user=st.one_of(st.text(max_size=5), st.integers(-5, 5), st.none()),
        rating=st.one_of(st.floats(0, 6), st.none(), st.just(3)),
        event_id=st.one_of(st.none(), st.text(max_size=3)),
    ),
    st.binary(max_size=12),
    st.none(),
)


@given(st.lists(values, max_size=8))
def test_quick_and_careful_reading_agree(some: list[bytes | None]) -> None:
    dead = DeadLetters()
    read = records.ratings(log(*some), SCALE, dead)
    expected, refused = [], []
    for offset, value in enumerate(some):
        try:
            rating = decode(value, SCALE, received=TIME.timestamp())
            expected.append((offset, rating.user, rating.item, rating.timestamp, rating.event_id))
        except InvalidRating:
            refused.append(offset)
    columns = ("offset", "user", "item", "rated_at", "event_id")
    assert [tuple(row[name] for name in columns) for row in read.to_pylist()] == expected
    assert [row["offset"] for row in dead.rows] == refused


def test_of_several_catalogue_entries_for_an_item_the_last_holds() -> None:
    dead = DeadLetters()
    read = records.catalogue(
        log(
            b'{"item":"1","title":"Old"}',
            b'{"item":"1","title":"New","attributes":{"year":1999}}',
            b'{"title":"no item"}',
        ),
        dead,
    )
    assert read.to_pylist() == [{"item": "1", "title": "New", "attributes": '{"year":1999}'}]
    assert [row["offset"] for row in dead.rows] == [2]
