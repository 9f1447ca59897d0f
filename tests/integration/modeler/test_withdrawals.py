"""Withdrawals wherever they fall: as worked out one by one in memory, whatever the micro-batches.

The tasks and the commit themselves, over a real Postgres and without Spark.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import psycopg2
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modeler.backlog import dealt
from modeler.block import learner
from modeler.strata import Cut, cutter, reader
from modeler.strata import learner as learner_of_blocks
from modeler.task import Report, Task, Version
from modeler.verify import VerifySettings, sums
from recommender.model_settings import ModelSettings
from recommender.rating_head import Errors
from recommender.strata import Schedule
from storage.as_of import AsOf, furthest
from storage.settings import PostgresSettings
from storage.staging import Address, TaskStore, slot_of
from storage.truth import Commit, Lease, Truth

SETTINGS = ModelSettings(rank=2, ranking_rank=2, negatives=2, replay=3)
PARTITIONS = 2
BLOCKS = 2
SCHEDULE = Schedule(BLOCKS, workers=2)


@dataclass(frozen=True)
class Event:
    """A rating, or without one a withdrawal; without an item as well: of everything."""

    user: str
    item: str | None
    rating: float | None
    event_id: str | None = None

    @property
    def partition(self) -> int:
        return ord(self.user) % PARTITIONS

    def encode(self) -> bytes:
        record = {"user": self.user, "timestamp": 1.0}
        record |= {"item": self.item} if self.item else {}
        record |= {"rating": self.rating} if self.rating else {"deleted": True}
        return json.dumps(record | ({"event_id": self.event_id} if self.event_id else {})).encode()


@dataclass
class Reference:
    """What must be left, worked out event by event."""

    history: list[tuple[str, str, float]] = field(default_factory=list)
    events: set[str] = field(default_factory=set)
    items: set[str] = field(default_factory=set)
    duplicates: int = 0
    withdrawals: int = 0

    def take(self, event: Event) -> None:
        if event.event_id in self.events:
            self.duplicates += 1
            return
        if event.event_id:
            self.events.add(event.event_id)
        if event.rating is None:
            self.withdrawals += 1
            self.history = [
                row
                for row in self.history
                if row[0] != event.user or event.item not in (row[1], None)
            ]
        else:
            assert event.item
            self.history.append((event.user, event.item, event.rating))


class Learner:
    """What Spark and the driver do with one model, micro-batch after micro-batch."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.truth = Truth(PostgresSettings(postgres_dsn=dsn))
        self.truth.serving_or_new_model(SETTINGS.model_dump(mode="json"), "test")
        with closing(psycopg2.connect(dsn)) as opened, opened, opened.cursor() as cur:
            cur.execute(
                """TRUNCATE history, events, withdrawals, micro_batches, offsets, user_rows,
                   item_rows; UPDATE models SET batch = 0, rating_sum = 0, rating_count = 0"""
            )
        self.lease: Lease = self.truth.take_over(1.0)
        self.task = Task([Version(self.lease.serving, SETTINGS)], self.lease.fence, dsn, "ratings")
        self.as_of = self.lease.as_of
        self.attempts = 0
        self.ends = [0] * PARTITIONS

    def learn(self, events: list[Event], backlog: bool) -> None:
        """Learn one micro-batch: by one task, or in blocks."""
        received = []
        for partition in range(PARTITIONS):
            values = [event.encode() for event in events if event.partition == partition]
            if values:
                received.append(self._batch(partition, values))
        if not received:
            return
        self.truth.empty_slot(slot_of(self.as_of.batch + 1))
        commit = self._in_blocks(received) if backlog else self._alone(received)
        self.as_of, _ = self.truth.commit(self.lease, commit)
        assert self.as_of == self.truth.state(self.lease.serving)

    def _batch(self, partition: int, values: list[bytes]) -> pa.RecordBatch:
        first = self.ends[partition]
        self.ends[partition] += len(values)
        return pa.RecordBatch.from_pydict(
            {
                "topic": ["ratings"] * len(values),
                "partition": pa.array([partition] * len(values), pa.int32()),
                "offset": pa.array(range(first, first + len(values)), pa.int64()),
                "timestamp": pa.array([0] * len(values), pa.timestamp("us", "UTC")),
                "key": pa.array([b"k"] * len(values), pa.binary()),
                "value": pa.array(values, pa.binary()),
            }
        )

    def _alone(self, received: list[pa.RecordBatch]) -> Commit:
        (found,) = learner(self.task)(iter(received))
        report = Report.decode(found["report"][0].as_py())
        offsets = furthest(self.as_of.offsets, report.next_offsets)
        return Commit(
            AsOf(report.batch, offsets, report.total, report.count),
            [report.staged],
            report.errors,
            report.duplicates,
            report.withdrawn,
        )

    def _in_blocks(self, received: list[pa.RecordBatch]) -> Commit:
        before, model = self.as_of, self.lease.serving
        read = [
            one
            for part in received
            for one in reader(self.task, before, None, BLOCKS)(iter([part]))
        ]
        readers = [Report.decode(one["report"][0].as_py()) for one in read]
        total = before.rating_sum + sum(one.total - before.rating_sum for one in readers)
        count = before.rating_count + sum(one.count - before.rating_count for one in readers)
        withdrawals = (
            Address(slot_of(before.batch + 1), self.lease.fence, [0])
            if any(one.staged.withdrawals for one in readers)
            else None
        )
        sampler = next(
            (
                part["partition"][0].as_py()
                for part, one in zip(read, readers, strict=True)
                if one.staged.ratings
            ),
            None,
        )
        learners: list[Report] = []
        if sampler is not None:
            dealings = dealt(readers, BLOCKS)
            version = self.task.serving
            cut = Cut(version, SCHEDULE, dealings, before, total, count, sampler, withdrawals)
            pieces = [piece for part in read for piece in cutter(self.task, cut)(iter([part]))]
            for number in range(SCHEDULE.rounds):
                moved = pa.Table.from_batches(pieces)
                pieces = []
                for worker in range(SCHEDULE.workers):
                    own = moved.filter(pa.compute.equal(moved["task"], worker))
                    pieces += learner_of_blocks(self.task, cut, number)(
                        iter(own.combine_chunks().to_batches())
                    )
            learners = [
                Report.decode(text.decode())
                for part in pieces
                for text in part["payload"].to_pylist()
            ]
        offsets = before.offsets
        for one in readers:
            offsets = furthest(offsets, one.next_offsets)
        return Commit(
            AsOf(before.batch + 1, offsets, total, count),
            [one.staged for one in (*readers, *learners)],
            {model: sum((one.errors[model] for one in learners), Errors())},
            sum(one.duplicates for one in readers),
            sum(one.withdrawn for one in readers),
        )


@pytest.fixture
def store(dsn: str) -> Iterator[TaskStore]:
    with closing(TaskStore(dsn)) as opened:
        yield opened


users, items = st.sampled_from("uvwx"), st.sampled_from("ijk")
event_ids = st.none() | st.none() | st.sampled_from(["e1", "e2"])
ratings = st.builds(Event, users, items, st.sampled_from([0.5, 3.0, 5.0]), event_ids)
withdrawals = st.builds(Event, users, st.none() | items, st.none(), event_ids)
batches = st.lists(
    st.tuples(st.lists(ratings | ratings | withdrawals, max_size=10), st.booleans()), max_size=6
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches)
def test_what_is_left_is_what_an_observer_would_say(
    dsn: str, store: TaskStore, batches: list[tuple[list[Event], bool]]
) -> None:
    reference = Reference()
    learning = Learner(dsn)
    with closing(learning.truth):
        for events, backlog in batches:
            # One event id in two partitions of one micro-batch: its tasks cannot know. The commit
            # refuses it, and one task is asked (tests/integration/modeler/test_kills.py).
            found = {(event.event_id, event.partition) for event in events if event.event_id}
            backlog = backlog and len({event_id for event_id, _ in found}) == len(found)
            learning.learn(events, backlog)
            for event in sorted(events, key=lambda event: event.partition):
                reference.take(event)
            check(learning, reference)


def check(learning: Learner, reference: Reference) -> None:
    with closing(psycopg2.connect(learning.dsn)) as opened, opened, opened.cursor() as cur:

        def read(query: str) -> list[tuple]:
            cur.execute(query)
            return cur.fetchall()

        stored = read('SELECT "user", item, rating FROM ratings')
        assert Counter(stored) == Counter(reference.history)
        assert dict(read("SELECT id, n FROM user_rows")) == Counter(
            user for user, _, _ in reference.history
        )
        # An item is not forgotten with the last of its ratings.
        counted = dict(read("SELECT id, n FROM item_rows"))
        assert {item: n for item, n in counted.items() if n} == Counter(
            item for _, item, _ in reference.history
        )
        assert {event for (event,) in read("SELECT event_id FROM events")} == reference.events
    total = sum(rating for *_, rating in reference.history)
    assert learning.as_of.rating_sum == pytest.approx(total)
    found = sums(VerifySettings(postgres_dsn=learning.dsn))
    assert found.agree, found
    assert (found.duplicates, found.withdrawals) == (reference.duplicates, reference.withdrawals)


def test_a_user_who_rates_again_begins_anew(dsn: str) -> None:
    """In the micro-batch of the withdrawal, too: the row is that of a user never seen before."""
    again = [Event("u", "j", 0.5)]
    everything = [Event("u", None, None)]

    def row_of_u(*batches: list[Event], backlog: bool) -> tuple:
        learning = Learner(dsn)
        with closing(learning.truth):
            for events in batches:
                learning.learn(events, backlog)
        with closing(psycopg2.connect(dsn)) as opened, opened.cursor() as cur:
            cur.execute("SELECT n, state FROM user_rows WHERE id = 'u'")
            ((n, state),) = cur.fetchall()
        return n, bytes(state)[:4]  # the bias

    others = [Event("v", "i", 3.0), Event("v", "k", 5.0)]
    past = [Event("u", "i", 5.0)] * 8
    for backlog in (False, True):
        n, bias = row_of_u(past, others, [*everything, *again], backlog=backlog)
        assert n == 1
        kept, with_past = row_of_u(past, others, again, backlog=backlog)
        assert kept == 9
        assert bias != with_past


@pytest.mark.parametrize("backlog", [False, True])
def test_what_is_withdrawn_is_not_replayed(dsn: str, backlog: bool) -> None:
    """Not in the micro-batch that withdraws it, and not afterwards: no row comes back."""
    learning = Learner(dsn)
    with closing(learning.truth):
        learning.learn([Event(user, item, 3.0) for user in "uvw" for item in "ijk"] * 4, backlog)
        learning.learn([Event("u", None, None), Event("v", "i", None), *filler(20)], backlog)
        for _ in range(5):
            learning.learn(filler(20), backlog)
    with closing(psycopg2.connect(dsn)) as opened, opened.cursor() as cur:
        cur.execute("SELECT count(*) FROM user_rows WHERE id = 'u'")
        assert cur.fetchall() == [(0,)]
        cur.execute("SELECT id, n FROM user_rows WHERE id IN ('v', 'w') ORDER BY id")
        assert cur.fetchall() == [("v", 8), ("w", 12)]
    assert sums(VerifySettings(postgres_dsn=dsn)).agree


def filler(count: int) -> list[Event]:
    return [Event("x", item, 4.0) for item in "ijkl" * (count // 4)]
