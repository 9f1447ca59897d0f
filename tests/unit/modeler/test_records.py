"""Reading the log: the quick way agrees with the careful one, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeler import records
from modeler.records import DeadLetters
from recommender import withdrawals
from recommender.errors import InvalidRating
from recommender.ratings import Rating, Scale, decode

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
    "deleted is text": good(deleted="true", rating=None),
    "deleted is a number": good(deleted=1, rating=None),
    "withdrawal without user": b'{"item":"i","deleted":true,"timestamp":1}',
    "withdrawal of no item": b'{"user":"u","item":"","deleted":true,"timestamp":1}',
    "withdrawal in milliseconds": b'{"user":"u","deleted":true,"timestamp":1700000000000}',
    "not UTF-8": b'{"user":"\xff","item":"i","rating":4,"timestamp":1}',
}


def canonical(value: bytes | None) -> bytes | None:
    return value and value.replace(b": ", b":").replace(b", ", b",")


@pytest.mark.parametrize("form", [lambda value: value, canonical], ids=["blanks", "canonical"])
@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_poison_is_set_aside_and_its_neighbours_are_learned(
    poison: bytes | None, form: Callable[[bytes | None], bytes | None]
) -> None:
    dead = DeadLetters()
    poison = form(poison)
    read = records.ratings(log(form(good()), poison, form(good(user="v"))), SCALE, dead)
    assert read["offset"].to_pylist() == [0, 2]
    (letter,) = dead.table().to_pylist()
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("ratings", 0, 1)
    assert letter["value"] == poison
    with pytest.raises(InvalidRating) as error:
        withdrawals.decode(poison, TIME.timestamp()) or decode(poison, SCALE, TIME.timestamp())
    assert letter["reason"] == str(error.value)


def test_withdrawals_stand_among_the_ratings_without_a_rating() -> None:
    read = records.ratings(
        log(
            good(),
            b'{"user":"u","item":"i","deleted":true,"timestamp":3,"event_id":"w"}',
            b'{"user":7,"deleted":true}',
            b'{"user":"u","item":null,"rating":null,"deleted":true,"timestamp":4}',
            good(deleted=True),
            good(deleted=False),
            b'{"user":"u","item":"i","\\u0064eleted":true,"timestamp":5}',
        ),
        SCALE,
        dead := DeadLetters(),
    )
    assert not dead.rows
    assert [
        (row["user"], row["item"], row["rating"], row["rated_at"]) for row in read.to_pylist()
    ] == [
        ("u", "i", 4.0, 9.5),
        ("u", "i", None, 3.0),
        ("7", None, None, TIME.timestamp()),
        ("u", None, None, 4.0),
        ("u", "i", 4.0, 9.5),  # what has a rating is one
        ("u", "i", 4.0, 9.5),
        ("u", "i", None, 5.0),
    ]
    assert read["event_id"].to_pylist() == [None, "w", None, None, None, None, None]


def test_a_withdrawal_does_not_make_the_careful_way_necessary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(records, "_one_by_one", lambda *_: pytest.fail("read one by one"))
    withdrawal = b'{"user":"u","deleted":true,"timestamp":3}'
    read = records.ratings(log(good(), withdrawal, good()), SCALE, DeadLetters())
    assert read["rating"].to_pylist() == [4.0, None, 4.0]


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
        item=st.one_of(st.just("i"), st.text(max_size=3), st.none()),
        deleted=st.one_of(st.none(), st.booleans(), st.just("true")),
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
            received = TIME.timestamp()
            found = withdrawals.decode(value, received) or decode(value, SCALE, received)
            rating = found.rating if isinstance(found, Rating) else None
            expected.append(
                (offset, found.user, found.item, rating, found.timestamp, found.event_id)
            )
        except InvalidRating:
            refused.append(offset)
    columns = ("offset", "user", "item", "rating", "rated_at", "event_id")
    single = [(*row[:3], row[3] and float(np.float32(row[3])), *row[4:]) for row in expected]
    assert [tuple(row[name] for name in columns) for row in read.to_pylist()] == single
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
