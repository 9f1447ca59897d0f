"""From the log's records to the ratings to be learned: each once, bad and withdrawn ones apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modeler import records
from modeler.records import CATALOGUE, RATINGS, DeadLetters
from modeler.task import Task
from modeler.withdrawals import Withdrawals, split
from recommender.ratings import Scale
from storage.as_of import Offsets, furthest
from storage.staging import Address, TaskStore


@dataclass
class Reading:
    """What some records hold.

    Attributes
    ----------
    ratings : Table
        Of schema `records.RATINGS`, in order of partition and offset, second deliveries left out.
    items : Table
        Catalogue entries, of schema `records.CATALOGUE`.
    withdrawals : Withdrawals
        What users have taken back; ratings that are taken back in the same micro-batch are left
        out of `ratings`.
    dead : DeadLetters
    duplicates : int
        Second deliveries.
    next_offsets : dict
        Topic to partition to the offset after the last record.
    """

    ratings: pa.Table
    items: pa.Table
    withdrawals: Withdrawals = field(default_factory=Withdrawals)
    dead: DeadLetters = field(default_factory=DeadLetters)
    duplicates: int = 0
    next_offsets: dict[str, dict[int, int]] = field(default_factory=dict)


def read(
    received: Iterable[pa.RecordBatch],
    task: Task,
    learned: Offsets,
    store: TaskStore,
    on_its_way: Address | None = None,
) -> Reading:
    """Read records, as Spark's Kafka source gives them; each part is let go once it is read.

    Parameters
    ----------
    received : iterable of RecordBatch
        ``topic``, ``partition``, ``offset``, ``timestamp``, ``key``, ``value``.
    task : Task
    learned : mapping
        Records below these offsets are passed over.
    store : TaskStore
        Knows the event ids that have been learned.
    on_its_way : Address, optional
        A micro-batch that is being committed: its event ids count as learned.
    """
    dead = DeadLetters()
    ratings, entries = [RATINGS.empty_table()], []
    following: dict[str, dict[int, int]] = {}
    for batch in received:
        table = pa.Table.from_batches([batch])
        following = furthest(following, _after(table))
        fresh = _not_yet_learned(table, learned)
        is_rating = pc.equal(fresh["topic"], task.ratings_topic)
        if pc.any(is_rating).as_py():
            scale = Scale.of(task.serving.settings)
            ratings.append(records.ratings(fresh.filter(is_rating), scale, dead))
        if not pc.all(is_rating).as_py():
            entries.append(fresh.filter(pc.invert(is_rating)))
    items = (
        records.catalogue(_in_order(pa.concat_tables(entries)), dead)
        if entries
        else CATALOGUE.empty_table()
    )
    kept, duplicates = _without_known_events(
        _in_order(pa.concat_tables(ratings)), store, on_its_way
    )
    kept, withdrawals = split(kept)
    return Reading(kept, items, withdrawals, dead, duplicates, following)


def _after(received: pa.Table) -> Offsets:
    """The offset after the last record of each partition."""
    last = received.group_by(["topic", "partition"]).aggregate([("offset", "max")])
    following: dict[str, dict[int, int]] = {}
    for row in last.to_pylist():
        following.setdefault(row["topic"], {})[row["partition"]] = row["offset_max"] + 1
    return following


def _not_yet_learned(received: pa.Table, next_offsets: Offsets) -> pa.Table:
    """The records at or past the stored offsets.

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
    return received.filter(pc.invert(learned)) if pc.any(learned).as_py() else received


def _in_order(table: pa.Table) -> pa.Table:
    """By partition and offset, as they nearly always come."""
    order = np.lexsort((table["offset"].to_numpy(), table["partition"].to_numpy()))
    return table if bool((np.diff(order) > 0).all()) else table.take(pa.array(order))


def _without_known_events(
    ratings: pa.Table, store: TaskStore, on_its_way: Address | None
) -> tuple[pa.Table, int]:
    """Leave out second deliveries: of an event id learned earlier, or earlier in this batch."""
    event_ids = ratings["event_id"].combine_chunks()
    if event_ids.null_count == len(event_ids):
        return ratings, 0
    known = store.known_events(pc.unique(pc.drop_null(event_ids)), on_its_way)
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
