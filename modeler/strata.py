"""A large micro-batch in B × B blocks, learned stratum by stratum by tasks side by side.

Three kinds of tasks, each the function of one step of Spark's plan:

1. `reader`, one for each partition of the log: reads its records and stages history, catalogue
   entries and dead letters. Its ratings stay with Spark, packed.
2. `cutter`: cuts a reader's ratings into blocks.
3. `stratum`, B times, as many tasks side by side as there are cores: learns blocks (b, b + s). It
   reads the rows that it is the first to touch; the item rows then go on to the task that learns
   them in the next stratum. The last ones stage the rows.

Between them only packed blocks travel, through Spark's shuffle. Every task is a function of what
it is given and of the truth, which nobody changes meanwhile: one that is run again does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from modeler import loading
from modeler.reading import read
from modeler.staging import Staging
from modeler.steps import Step, reached
from modeler.task import Report, Task, Version, added, store, timed
from recommender import micro_batch
from recommender.history import Ratings
from recommender.initial import SIDES, Side
from recommender.micro_batch import MicroBatch
from recommender.rating_head import Codes, Errors, Mean
from recommender.rows import RowFormat, Rows
from recommender.strata import HEAVY, Dealing, item_block
from storage.as_of import AsOf
from storage.staging import Address, Staged, TaskStore

READ_SCHEMA = "report string, partition int, ratings binary"
BLOCK_SCHEMA = "task int, kind string, partition int, item_block int, payload binary"
_BLOCK = pa.schema(
    [
        ("task", pa.int32()),
        ("kind", pa.string()),
        ("partition", pa.int32()),
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
    blocks : int
        B.
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
    blocks: int
    dealt: Mapping[Side, Dealing]
    before: AsOf
    total: float
    count: int
    sampler: int
    withdrawals: Address | None = None


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


def stratum(task: Task, cut: Cut, number: int) -> Map:
    """Make the function that learns some blocks of a stratum, in turn (``mapInArrow``)."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        blocks: dict[int, list[Piece]] = {}
        for batch in batches:
            for piece in batch.to_pylist():
                blocks.setdefault(piece["task"], []).append(piece)
        for block in sorted(blocks):
            with store(task.dsn) as kept:
                yield _blocks(list(_learn(task, kept, cut, number, blocks.pop(block))))

    return run


Piece = dict[str, Any]
Kind = Literal["ratings", "replayed", "users", "items", "report"]


def _piece(task: int, kind: Kind, partition: int, block: int, payload: bytes) -> Piece:
    return {
        "task": task,
        "kind": kind,
        "partition": partition,
        "item_block": block,
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
        # A user's ratings side by side: their index is written in order, and so is the projection.
        by_user = ratings.take(pa.array(np.argsort(user_codes, kind="stable")))
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
    order = np.argsort(number, kind="stable")
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
        user_block, block_of_items = divmod(one, cut.blocks)
        yield _piece(user_block, kind, partition, block_of_items, _packed(pa.table(piece)))


def _learn(
    task: Task, store: TaskStore, cut: Cut, number: int, pieces: list[Piece]
) -> Iterator[Piece]:
    seconds: dict[str, float] = {}
    model, settings = cut.version.model, cut.version.settings
    block = pieces[0]["task"]
    items_now = item_block(block, number, cut.blocks)
    last = number == cut.blocks - 1

    now: dict[Kind, list[pa.Table]] = {"ratings": [], "replayed": []}
    held: dict[Kind, bytes | None] = {"users": None, "items": None}
    before = Report(batch=cut.before.batch + 1, staged=Staged(0))
    for piece in sorted(pieces, key=lambda piece: piece["partition"]):
        kind: Kind = piece["kind"]
        if kind == "report":
            before = Report.decode(piece["payload"].decode())
        elif kind in held:
            held[kind] = piece["payload"]
        elif piece["item_block"] == items_now:
            now[kind].append(_unpacked(piece["payload"]))
        else:
            yield piece

    with timed(seconds, "load"):
        tables = [*now["ratings"], *now["replayed"]]
        users = _Held(cut, store, "user", held["users"], tables)
        items = _Held(cut, store, "item", held["items"], tables)
    reached(Step.LOADED)

    with timed(seconds, "learn"):
        new, replayed = (
            Ratings(
                _joined([users.codes[at] for at in span], np.int32),
                _joined([items.codes[at] for at in span], np.int32),
                _joined([tables[at]["rating"].to_numpy() for at in span], np.float32),
            )
            for span in (range(len(now["ratings"])), range(len(now["ratings"]), len(tables)))
        )
        errors = micro_batch.learn(
            MicroBatch(
                new=new,
                means=_joined([table["mean"].to_numpy() for table in now["ratings"]], np.float64),
                mean=Mean(settings.middle, cut.total, cut.count).value,
                learned=cut.count // cut.blocks,
                user_rows=users.rows,
                item_rows=items.rows,
                replayed=replayed,
                block=number * cut.blocks + block,
            ),
            settings,
        )
    reached(Step.LEARNED)

    staged = Staged(0)
    if last:
        staging = Staging(task, store, before.batch)
        with timed(seconds, "stage"):
            staging.rows(model, "user", users.ids, users.rows)
            reached(Step.HALF_STAGED)
            staging.rows(model, "item", items.ids, items.rows)
        staged = staging.staged
        reached(Step.STAGED)
    else:
        # The next stratum's block of this task's users meets the items after these.
        after = (block - 1) % cut.blocks
        yield _piece(block, "users", -1, -1, users.packed())
        yield _piece(after, "items", -1, items_now, items.packed())
    report = Report(
        batch=before.batch,
        staged=staged,
        errors={model: before.errors.get(model, Errors()) + errors},
        seconds=added([before.seconds, seconds]),
    )
    yield _piece(block, "report", -1, -1, report.encode().encode())


class _Held:
    """The rows of one side that a task holds: those handed to it, and those it is first to touch.

    Attributes
    ----------
    ids : StringArray
    rows : Rows
    codes : list of (length,) int32
        For each table of ratings, positions in these rows.
    """

    def __init__(
        self,
        cut: Cut,
        store: TaskStore,
        side: Side,
        packed: bytes | None,
        tables: list[pa.Table],
    ) -> None:
        ids, rows = _unpacked_rows(packed, cut.version.settings.format)
        columns = [table[side].combine_chunks() for table in tables]
        self.ids, (_, *places) = loading.coded(
            pa.chunked_array([ids]),
            *(pa.chunked_array([column.dictionary]) for column in columns),
        )
        self.codes = [
            place[column.indices.to_numpy()] for place, column in zip(places, columns, strict=True)
        ]
        first = self.ids.slice(len(ids))
        self.rows = rows.grown(len(self.ids))
        self.rows.put(
            np.arange(len(ids), len(self.ids)),
            loading.rows(cut.version, store, side, first, cut.withdrawals),
        )

    def packed(self) -> bytes:
        packed = self.rows.pack()
        rows = pa.Array.from_buffers(
            pa.binary(packed.dtype.itemsize), len(packed), [None, pa.py_buffer(packed)]
        )
        return _packed(pa.table({"id": self.ids, "row": rows}))


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
