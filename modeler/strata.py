"""A large micro-batch in B × B blocks, learned by tasks side by side.

Three kinds of tasks, each the function of one step of Spark's plan:

1. `reader`, one for each partition of the log: reads its records and stages history, catalogue
   entries and dead letters. Its ratings stay with Spark, packed.
2. `cutter`: cuts a reader's ratings into blocks.
3. `learner`, one for each core, round after round (`recommender.strata.Schedule`): learns pairs
   of blocks. It reads the rows that it is the first to touch; the item rows then go on to the
   task that learns them in the next round. The last ones stage the rows.

Between them only packed blocks travel, through Spark's shuffle. Every task is a function of what
it is given and of the truth, which nobody changes meanwhile: one that is run again does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modeler import loading
from modeler.reading import read
from modeler.staging import Staging
from modeler.steps import Step, reached
from modeler.task import Report, Task, Version, added, store, timed
from recommender import micro_batch
from recommender.history import Ratings
from recommender.initial import SIDES, Side
from recommender.micro_batch import MicroBatch
from recommender.ordering import stable_order
from recommender.rating_head import Codes, Errors, Mean
from recommender.rows import RowFormat, Rows
from recommender.strata import HEAVY, Dealing, Schedule
from storage.as_of import AsOf
from storage.staging import Address, Staged, TaskStore

READ_SCHEMA = "report string, partition int, ratings binary"
BLOCK_SCHEMA = (
    "task int, kind string, partition int, user_block int, item_block int, payload binary"
)
_BLOCK = pa.schema(
    [
        ("task", pa.int32()),
        ("kind", pa.string()),
        ("partition", pa.int32()),
        ("user_block", pa.int32()),
        ("item_block", pa.int32()),
        ("payload", pa.binary()),
    ]
)
Map = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Cut:
    """How a micro-batch is cut for one model, and what all its blocks need to know.

    Attributes
    ----------
    version : Version
        The model.
    schedule : Schedule
        Of how many blocks, by how many tasks.
    dealt : mapping
        For each side, who belongs to which block.
    before : AsOf
        The models before the micro-batch.
    total, count : float, int
        Sum and number of the ratings learned, the micro-batch included.
    sampler : int
        The partition whose cutter draws the ratings that are replayed.
    withdrawals : Address or None
        Where the micro-batch's withdrawals are staged, if there are any.
    """

    version: Version
    schedule: Schedule
    dealt: Mapping[Side, Dealing]
    before: AsOf
    total: float
    count: int
    sampler: int
    withdrawals: Address | None = None

    @property
    def blocks(self) -> int:
        """B."""
        return self.schedule.blocks


def reader(task: Task, before: AsOf, on_its_way: Address | None, blocks: int) -> Map:
    """Make the function that reads one partition of the log (``mapInArrow``, to `READ_SCHEMA`)."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        first = next(batches, None)
        if first is None:
            return
        partition = first["partition"][0].as_py()
        with store(task.dsn) as kept:
            report, ratings = _read(task, kept, before, on_its_way, blocks, _again(first, batches))
        yield pa.RecordBatch.from_pydict(
            {
                "report": [report.encode()],
                "partition": pa.array([partition], pa.int32()),
                "ratings": pa.array([ratings], pa.binary()),
            }
        )

    return run


def cutter(task: Task, cut: Cut) -> Map:
    """Make the function that cuts readers' ratings into blocks (``mapInArrow``)."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for partition, packed in zip(
                batch["partition"].to_pylist(), batch["ratings"], strict=True
            ):
                pieces = list(_cut("ratings", partition, _unpacked(packed), cut))
                # A partition of the catalogue may have the same number.
                if pieces and partition == cut.sampler:
                    with store(task.dsn) as kept:
                        pieces += _cut("replayed", partition, _sample(task, kept, cut), cut)
                yield _blocks(pieces)

    return run


def learner(task: Task, cut: Cut, number: int) -> Map:
    """Make the function that learns what a task can in a round (``mapInArrow``)."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        pieces: dict[int, list[Piece]] = {}
        for batch in batches:
            for piece in batch.to_pylist():
                pieces.setdefault(piece["task"], []).append(piece)
        for worker in sorted(pieces):
            with store(task.dsn) as kept:
                yield _blocks(list(_learn(task, kept, cut, number, pieces.pop(worker))))

    return run


Piece = dict[str, Any]
Kind = Literal["ratings", "replayed", "user", "item", "report"]


def _piece(
    task: int, kind: Kind, partition: int, user_block: int, item_block: int, payload: bytes
) -> Piece:
    return {
        "task": task,
        "kind": kind,
        "partition": partition,
        "user_block": user_block,
        "item_block": item_block,
        "payload": payload,
    }


def _blocks(pieces: list[Piece]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(pieces, schema=_BLOCK)


def _again(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _read(
    task: Task,
    store: TaskStore,
    before: AsOf,
    on_its_way: Address | None,
    blocks: int,
    received: Iterator[pa.RecordBatch],
) -> tuple[Report, bytes]:
    seconds: dict[str, float] = {}
    with timed(seconds, "read"):
        reading = read(received, task, before.offsets, store, on_its_way)
        ratings = reading.ratings
    reached(Step.PARSED)
    with timed(seconds, "parse"):
        users, (user_codes,) = loading.coded(ratings["user"])
        items, (item_codes,) = loading.coded(ratings["item"])
        mean = Mean(task.serving.settings.middle, before.rating_sum, before.rating_count)
        values = ratings["rating"].to_numpy()
        packed = _packed(
            pa.table(
                {
                    "user": pa.DictionaryArray.from_arrays(user_codes, users),
                    "item": pa.DictionaryArray.from_arrays(item_codes, items),
                    "rating": values,
                    "mean": mean.before_each(values),
                }
            )
        )
    staging = Staging(task, store, before.batch + 1)
    with timed(seconds, "stage"):
        # A user's ratings side by side: so they make one row of the history, in few places.
        by_user = ratings.take(pa.array(stable_order(user_codes)))
        staging.withdrawals(reading)
        staging.records(by_user, reading)
    report = Report(
        batch=before.batch + 1,
        staged=staging.staged,
        duplicates=reading.duplicates,
        withdrawn=reading.withdrawals.withdrawn,
        total=mean.total,
        count=mean.count,
        next_offsets=reading.next_offsets,
        seconds=seconds,
        heavy={
            "user": _heavy(users, user_codes, blocks),
            "item": _heavy(items, item_codes, blocks),
        },
    )
    return report, packed


def _heavy(ids: pa.StringArray, codes: Codes, blocks: int) -> dict[str, int]:
    """How many ratings the ids have that alone would make a block larger than another."""
    counts = np.bincount(codes, minlength=len(ids))
    places = np.flatnonzero(counts > HEAVY * len(codes) / blocks)
    return dict(zip(ids.take(pa.array(places)).to_pylist(), counts[places].tolist(), strict=True))


def _sample(task: Task, store: TaskStore, cut: Cut) -> pa.Table:
    new = cut.count - cut.before.rating_count
    found = loading.sample(task, store, new, cut.before.rating_count, cut.withdrawals)
    replayed = found.slice(0, cut.version.settings.replayed(new))
    return pa.table(
        {
            "user": replayed["user"].combine_chunks().dictionary_encode(),
            "item": replayed["item"].combine_chunks().dictionary_encode(),
            "rating": replayed["rating"],
            "mean": np.zeros(len(replayed)),
        }
    )


def _cut(kind: Kind, partition: int, ratings: pa.Table, cut: Cut) -> Iterator[Piece]:
    """The blocks of some ratings, each in the ratings' order."""
    if not len(ratings):
        return
    codes: dict[Side, Codes] = {}
    ids: dict[Side, pa.StringArray] = {}
    block: dict[Side, Codes] = {}
    for side in SIDES:
        column = ratings[side].combine_chunks()
        ids[side], codes[side] = column.dictionary, column.indices.to_numpy()
        block[side] = cut.dealt[side].blocks_of(ids[side])[codes[side]]
    number = block["user"] * cut.blocks + block["item"]
    order = stable_order(number)
    ends = np.searchsorted(number[order], np.arange(cut.blocks**2 + 1))
    for one, (start, end) in enumerate(pairwise(ends)):
        if start == end:
            continue
        own = order[start:end]
        piece = {name: ratings[name].to_numpy()[own] for name in ("rating", "mean")}
        for side in SIDES:
            few, positions = np.unique(codes[side][own], return_inverse=True)
            piece[side] = pa.DictionaryArray.from_arrays(
                positions.astype(np.int32), ids[side].take(pa.array(few))
            )
        pair = divmod(one, cut.blocks)
        worker = cut.schedule.worker(pair[0])
        yield _piece(worker, kind, partition, *pair, _packed(pa.table(piece)))


def _learn(
    task: Task, store: TaskStore, cut: Cut, number: int, pieces: list[Piece]
) -> Iterator[Piece]:
    seconds: dict[str, float] = {}
    model, settings, schedule = cut.version.model, cut.version.settings, cut.schedule
    worker = pieces[0]["task"]
    pairs = schedule.pairs(worker, number)

    now: dict[tuple[int, int], Tables] = {pair: Tables() for pair in pairs}
    held: dict[Side, dict[int, bytes]] = {"user": {}, "item": {}}
    before = Report(batch=cut.before.batch + 1, staged=Staged(0))
    for piece in sorted(pieces, key=lambda piece: piece["partition"]):
        kind: Kind = piece["kind"]
        pair = (piece["user_block"], piece["item_block"])
        if kind == "report":
            before = Report.decode(piece["payload"].decode())
        elif kind in SIDES:
            held[kind][pair[kind == "item"]] = piece["payload"]
        elif pair in now:
            getattr(now[pair], kind).append(_unpacked(piece["payload"]))
        else:
            yield piece

    with timed(seconds, "load"):
        every = [table for tables in now.values() for table in tables.all]
        users = _Held(cut, store, "user", held["user"], every)
        items = _Held(cut, store, "item", held["item"], every)
    reached(Step.LOADED)

    errors = before.errors.get(model, Errors())
    with timed(seconds, "learn"):
        for pair, tables in now.items():
            if tables.all:
                errors += micro_batch.learn(_batch(cut, users, items, *pair, tables), settings)
    reached(Step.LEARNED)

    staged = Staged(0)
    if number == schedule.rounds - 1:
        staging = Staging(task, store, before.batch)
        with timed(seconds, "stage"):
            staging.rows(model, "user", *users.together())
            reached(Step.HALF_STAGED)
            staging.rows(model, "item", *items.together())
        staged = staging.staged
        reached(Step.STAGED)
    else:
        for block, packed in users.packed():
            yield _piece(worker, "user", -1, block, -1, packed)
        for block, packed in items.packed():
            yield _piece(schedule.holder(block, number + 1), "item", -1, -1, block, packed)
    report = Report(
        batch=before.batch,
        staged=staged,
        errors={model: errors},
        seconds=added([before.seconds, seconds]),
    )
    yield _piece(worker, "report", -1, -1, -1, report.encode().encode())


@dataclass(frozen=True)
class Tables:
    """The ratings of a pair of blocks, as they were cut, in the order of the log's partitions."""

    ratings: list[pa.Table] = field(default_factory=list)
    replayed: list[pa.Table] = field(default_factory=list)

    @property
    def all(self) -> list[pa.Table]:
        """Those to be replayed last."""
        return [*self.ratings, *self.replayed]


def _batch(
    cut: Cut, users: _Held, items: _Held, user_block: int, item_block: int, tables: Tables
) -> MicroBatch:
    """What is learned of a pair of blocks."""
    user_rows, user_codes = users.touched(user_block, tables.all)
    item_rows, item_codes = items.touched(item_block, tables.all)
    new = len(tables.ratings)

    def joined(some: slice) -> Ratings:
        values = [table["rating"].to_numpy() for table in tables.all[some]]
        return Ratings(
            _joined(user_codes[some], np.int32),
            _joined(item_codes[some], np.int32),
            _joined(values, np.float32),
        )

    return MicroBatch(
        new=joined(slice(0, new)),
        means=_joined([table["mean"].to_numpy() for table in tables.ratings], np.float64),
        mean=Mean(cut.version.settings.middle, cut.total, cut.count).value,
        learned=cut.count // cut.blocks,
        user_rows=user_rows,
        item_rows=item_rows,
        replayed=joined(slice(new, None)),
        block=cut.schedule.stratum(user_block, item_block) * cut.blocks + user_block,
    )


class _Held:
    """The rows of one side that a task holds: blocks handed to it, and rows it is first to touch.

    Parameters
    ----------
    cut : Cut
    store : TaskStore
        The rows that are in no block yet are read from it, all at once.
    side : {"user", "item"}
    packed : mapping
        The blocks handed to it.
    tables : list of Table
        All ratings that the task is to learn.
    """

    def __init__(
        self,
        cut: Cut,
        store: TaskStore,
        side: Side,
        packed: Mapping[int, bytes],
        tables: list[pa.Table],
    ) -> None:
        self._side = side
        self._form = cut.version.settings.format
        self._blocks = {block: _unpacked_rows(one, self._form) for block, one in packed.items()}
        known = [ids for ids, _ in self._blocks.values()]
        columns = [table[side].combine_chunks().dictionary for table in tables]
        ids, (old, *_) = loading.coded(
            pa.chunked_array(known, pa.string()), *(pa.chunked_array([one]) for one in columns)
        )
        # Each of the old ones is there once, since an id is in one block.
        self._first = ids.slice(len(old))
        self._rows = loading.rows(cut.version, store, side, self._first, cut.withdrawals)

    def touched(self, block: int, tables: list[pa.Table]) -> tuple[Rows, list[Codes]]:
        """A block with the rows that these ratings touch, and their positions in it.

        Rows take their places in the order in which they are first touched, whatever else the
        task has read.
        """
        ids, rows = self._blocks.get(block) or _unpacked_rows(None, self._form)
        columns = [table[self._side].combine_chunks() for table in tables]
        together, (_, *places) = loading.coded(
            pa.chunked_array([ids]),
            *(pa.chunked_array([column.dictionary]) for column in columns),
        )
        if len(together) > len(ids):
            fresh = pc.index_in(together.slice(len(ids)), value_set=self._first).to_numpy()
            grown = rows.grown(len(together))
            grown.put(np.arange(len(ids), len(together)), self._rows.take(fresh))
            rows = grown
        self._blocks[block] = together, rows
        return rows, [
            place[column.indices.to_numpy()] for place, column in zip(places, columns, strict=True)
        ]

    def together(self) -> tuple[pa.StringArray, Rows]:
        """All rows."""
        blocks = list(self._blocks.values()) or [_unpacked_rows(None, self._form)]
        ids = pa.concat_arrays([ids for ids, _ in blocks])
        return ids, Rows.joined([rows for _, rows in blocks])

    def packed(self) -> Iterator[tuple[int, bytes]]:
        """Each block, to be handed on."""
        for block, (ids, rows) in self._blocks.items():
            packed = rows.pack()
            values = pa.Array.from_buffers(
                pa.binary(packed.dtype.itemsize), len(packed), [None, pa.py_buffer(packed)]
            )
            yield block, _packed(pa.table({"id": ids, "row": values}))


def _unpacked_rows(packed: bytes | None, form: RowFormat) -> tuple[pa.StringArray, Rows]:
    if packed is None:
        return pa.array([], pa.string()), Rows.empty(0, form)
    table = _unpacked(packed)
    if not len(table):
        return pa.array([], pa.string()), Rows.empty(0, form)
    _, data = table["row"].combine_chunks().buffers()
    rows = np.frombuffer(data, dtype=form.row, count=len(table))  # Arrow pads its buffers
    return table["id"].combine_chunks(), Rows.unpack(rows)


def _joined(parts: list[Any], kind: Any) -> Any:
    return np.concatenate(parts) if parts else np.zeros(0, kind)


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _unpacked(packed: Any) -> pa.Table:
    buffer = packed.as_buffer() if isinstance(packed, pa.Scalar) else pa.py_buffer(packed)
    with pa.ipc.open_stream(buffer) as stream:
        return stream.read_all()
