"""Ratings in staging: what is read out is what was put in, of the tasks asked for alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa
import pytest

from modeler.records import RATINGS
from storage.staging import Address, TaskStore

SLOT, FENCE = 1, 7


@pytest.fixture
def store(dsn: str) -> Iterator[TaskStore]:
    with closing(TaskStore(dsn)) as opened:
        yield opened


def ratings(event_ids: list[str | None]) -> pa.Table:
    places = range(len(event_ids))
    return pa.table(
        {
            "partition": [place % 3 for place in places],
            "offset": list(places),
            "user": [f"u{place % 5}" for place in places],
            "item": [f"i{place}" for place in places],
            "rating": [0.5 + place % 10 / 2 for place in places],
            "rated_at": [float(place) for place in places],
            "event_id": event_ids,
        }
    ).cast(RATINGS)


def staged_by(*tasks: int) -> Address:
    return Address(SLOT, FENCE, list(tasks))


# Users and partitions take turns: a row each.
@pytest.mark.parametrize("length", [0, 1, 2500])
def test_ratings_come_back(store: TaskStore, length: int) -> None:
    sent = ratings([None] * length)
    assert store.stage_ratings(SLOT, FENCE, 3, sent) == length
    assert store.stage_ratings(SLOT, FENCE, 4, ratings([None] * 5)) == 5
    found = [
        {**row, "item": item, "rating": rating, "offset": offset}
        for row in store.staged_ratings(staged_by(3)).to_pylist()
        for item, rating, offset in zip(row["item"], row["rating"], row["offset"], strict=True)
    ]
    columns = ["user", "item", "rating", "partition", "offset"]
    assert sorted(found, key=lambda one: one["offset"]) == sent.select(columns).to_pylist()


def test_event_ids_on_their_way_are_known(store: TaskStore) -> None:
    store.stage_ratings(SLOT, FENCE, 3, ratings(["e1", None, "e3"]))
    store.stage_ratings(SLOT, FENCE, 4, ratings([None, "e5"]))
    store.stage_ratings(SLOT, FENCE, 5, ratings([None, None]))
    wanted = pa.array(["e1", "e2", "e5"])

    def known(where: Address | None) -> set[str]:
        return set(store.known_events(wanted, where).to_pylist())

    assert known(staged_by(3, 4, 5)) == {"e1", "e5"}
    assert known(staged_by(3)) == {"e1"}
    assert known(staged_by(5)) == set()  # it has no event ids at all
    assert known(Address(SLOT, FENCE + 1, [3])) == set()
    assert known(None) == set()
