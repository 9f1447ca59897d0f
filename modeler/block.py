"""One task: reads the records of a micro-batch, learns them, stages what it learned.

Runs in a Python worker on an executor. What it returns is an address and sums, never rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter
from pyspark import TaskContext

from modeler import records
from modeler.records import DeadLetters
from modeler.steps import Step, reached
from recommender import micro_batch
from recommender.history import Ratings
from recommender.initial import Side, initial_rows
from recommender.micro_batch import MicroBatch
from recommender.model_settings import ModelSettings
from recommender.rating_head import Codes, Errors, Mean
from recommender.ratings import Scale
from recommender.rows import Rows
from storage.as_of import Offsets
from storage.staging import Staged, TaskStore, row_columns

REPORT_SCHEMA = "report string"


@dataclass(frozen=True)
class Task:
    """What a task needs to know.

    Attributes
    ----------
    model, fence, slot : int
        Whose rows to learn, by which right, and where to stage them.
    next_offsets : mapping
        Records below these have been learned and are passed over.
    total, count : float, int
        Sum and number of the ratings learned before.
    settings : ModelSettings
    dsn : str
        Postgres.
    ratings_topic : str
        All other records are catalogue entries.
    """

    model: int
    fence: int
    slot: int
    next_offsets: Offsets
    total: float
    count: int
    settings: ModelSettings
    dsn: str
    ratings_topic: str


@dataclass(frozen=True)
class Report:
    """What a task tells the driver.

    Attributes
    ----------
    staged : Staged
        Where the driver finds what was learned, and how much it is.
    errors : Errors
        Prequential.
    duplicates : int
        Ratings passed over because their event id had been learned.
    total, count : float, int
        Sum and number of the ratings learned, these included.
    next_offsets : dict
        Topic to partition to the offset after the last record that the task has seen.
    seconds : dict
        Duration of each step.
    """

    staged: Staged
    errors: Errors
    duplicates: int
    total: float
    count: int
    next_offsets: dict[str, dict[int, int]]
    seconds: dict[str, float] = field(default_factory=dict)

    def encode(self) -> str:
        """As JSON; numbers keep all their bits."""
        return _REPORT.dump_json(self).decode()

    @staticmethod
    def decode(text: str) -> Report:
        """Read what `encode` wrote."""
        return _REPORT.validate_json(text)


_REPORT: TypeAdapter[Report] = TypeAdapter(Report)


def learner(task: Task) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Make the function that Spark maps over the partitions of a micro-batch (``mapInArrow``)."""

    def learn(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        started = time.perf_counter()
        received = list(batches)
        if not received:
            return
        seconds = {"read": time.perf_counter() - started}
        context = TaskContext.get()
        attempt = context.taskAttemptId() if context is not None else 0
        try:
            report = _learn(task, attempt, pa.Table.from_batches(received), seconds)
        except Exception:
            # The connection may be the reason; the next attempt opens another.
            _store(task.dsn).close()
            _store.cache_clear()
            raise
        yield pa.RecordBatch.from_pydict({"report": [report.encode()]})

    return learn


def warm_up(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Load and compile in a worker what the first micro-batch would wait for (``mapInArrow``)."""
    list(batches)
    settings = ModelSettings(rank=1)
    ids = pa.array(["warm-up"])
    users = initial_rows(ids, "user", 0, settings.format, 1.0, 1.0)
    items = initial_rows(ids, "item", 0, settings.format, 1.0, 1.0)
    rating = Ratings(np.zeros(1, np.int32), np.zeros(1, np.int32), np.ones(1, np.float32))
    micro_batch.learn(MicroBatch(rating, users, items, rating), Mean(1.0), settings)
    yield pa.RecordBatch.from_pydict({"report": ["warm"]})


@cache
def _store(dsn: str) -> TaskStore:
    return TaskStore(dsn)


def _learn(task: Task, attempt: int, received: pa.Table, seconds: dict[str, float]) -> Report:
    store = _store(task.dsn)
    dead = DeadLetters()
    with _timed(seconds, "parse"):
        following = _following(received)
        fresh = _not_yet_learned(received, task.next_offsets)
        is_rating = pc.equal(fresh["topic"], task.ratings_topic)
        ratings = records.ratings(fresh.filter(is_rating), Scale.of(task.settings), dead)
        items = records.catalogue(fresh.filter(pc.invert(is_rating)), dead)
        ratings, duplicates = _without_known_events(ratings, store)
    reached(Step.PARSED)

    with _timed(seconds, "replay"):
        sample = _sample(task, store, len(ratings))
    new = len(ratings)
    users, user_codes = _coded(ratings["user"], sample["user"])
    rated_items, item_codes = _coded(ratings["item"], sample["item"])
    with _timed(seconds, "load"):
        user_rows = _rows(task, store, "user", users)
        item_rows = _rows(task, store, "item", rated_items)
    reached(Step.LOADED)

    mean = Mean(task.settings.middle, task.total, task.count)
    with _timed(seconds, "learn"):
        batch = MicroBatch(
            new=Ratings(user_codes[:new], item_codes[:new], ratings["rating"].to_numpy()),
            user_rows=user_rows,
            item_rows=item_rows,
            sample=Ratings(user_codes[new:], item_codes[new:], sample["rating"].to_numpy()),
        )
        errors = micro_batch.learn(batch, mean, task.settings)
    reached(Step.LEARNED)

    with _timed(seconds, "stage"):

        def stage(table: str, columns: dict[str, Any]) -> int:
            if table == "ratings":
                reached(Step.HALF_STAGED)
            return store.stage(table, task.slot, task.fence, attempt, columns)

        staged = Staged(
            task=attempt,
            user_rows=stage("rows", row_columns("user", users, user_rows)),
            item_rows=stage("rows", row_columns("item", rated_items, item_rows)),
            ratings=stage("ratings", _columns(ratings)),
            events=len(ratings) - ratings["event_id"].null_count,
            items=stage("items", _columns(items)),
            dead_letters=stage("dead_letters", _columns(dead.table())),
        )
    reached(Step.STAGED)
    return Report(staged, errors, duplicates, mean.total, mean.count, following, seconds)


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - started


def _following(received: pa.Table) -> dict[str, dict[int, int]]:
    last = received.group_by(["topic", "partition"]).aggregate([("offset", "max")])
    offsets: dict[str, dict[int, int]] = {}
    for row in last.to_pylist():
        offsets.setdefault(row["topic"], {})[row["partition"]] = row["offset_max"] + 1
    return offsets


def _not_yet_learned(received: pa.Table, next_offsets: Offsets) -> pa.Table:
    """The records at or past the stored offsets, in order of partition and offset.

    The truth decides, not what Spark remembers: a record below them has had its effect.
    """
    learned = pa.array(np.zeros(len(received), dtype=bool))
    for topic, partitions in next_offsets.items():
        for partition, following in partitions.items():
            below = pc.and_(
                pc.and_(
                    pc.equal(received["topic"], topic), pc.equal(received["partition"], partition)
                ),
                pc.less(received["offset"], following),
            )
            learned = pc.or_(learned, below)
    return received.filter(pc.invert(learned)).sort_by(
        [("partition", "ascending"), ("offset", "ascending")]
    )


def _without_known_events(ratings: pa.Table, store: TaskStore) -> tuple[pa.Table, int]:
    """Leave out second deliveries: of an event id learned earlier, or earlier in this batch."""
    event_ids = ratings["event_id"].combine_chunks()
    if event_ids.null_count == len(event_ids):
        return ratings, 0
    known = store.known_events(pc.unique(pc.drop_null(event_ids)))
    positions = pa.array(np.arange(len(ratings)))
    firsts = (
        pa.table({"event_id": event_ids, "position": positions})
        .filter(pc.is_valid(event_ids))
        .group_by("event_id")
        .aggregate([("position", "min")])["position_min"]
    )
    is_first = pc.or_(pc.is_null(event_ids), pc.is_in(positions, value_set=firsts.combine_chunks()))
    keep = pc.and_(is_first, pc.invert(pc.is_in(event_ids, value_set=known, skip_nulls=True)))
    kept = ratings.filter(keep)
    return kept, len(ratings) - len(kept)


def _sample(task: Task, store: TaskStore, new: int) -> pa.Table:
    """Earlier ratings, the same for the same place in the stream."""
    random = np.random.default_rng((task.settings.seed, task.count))
    return store.sample_history(task.settings.sample_size(new), random)


def _coded(*ids: pa.ChunkedArray) -> tuple[pa.StringArray, Codes]:
    """Distinct ids in order of first appearance, and each rating's position among them."""
    chunks = [chunk for column in ids for chunk in column.chunks if len(chunk)]
    if not chunks:
        return pa.array([], pa.string()), np.zeros(0, np.int32)
    encoded = pa.concat_arrays(chunks).dictionary_encode()
    return encoded.dictionary, encoded.indices.to_numpy().astype(np.int32, copy=False)


def _rows(task: Task, store: TaskStore, side: Side, ids: pa.StringArray) -> Rows:
    """The rows of all these ids: as stored, or as the hash of (seed, side, id) makes them."""
    settings = task.settings
    known, stored = store.rows(task.model, side, ids, settings.format)
    rows = initial_rows(
        ids, side, settings.seed, settings.format, settings.factor_scale, settings.ranking_scale
    )
    rows.put(known, stored)
    return rows


def _columns(table: pa.Table) -> dict[str, Any]:
    return {name: table[name] for name in table.column_names}
