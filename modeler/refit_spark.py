"""A refit on Spark: the blocks of a stratum learned side by side by tasks, on many machines.

What a task is given:

- **Ratings** are sent once, in slices, cut in blocks by tasks, and kept by the executors for all
  epochs: for each round of `recommender.strata.Schedule` one data set with a partition a worker,
  that holds the blocks which the worker learns in that round.
- **Rows** leave the driver when an epoch begins and are back when it ends, the columns of the head
  that is learned alone. Within the epoch they go from task to task through Spark's shuffle: a
  worker keeps its users, and hands its items on after each round.

Each task is a function of what it is given. One that fails, or whose machine is lost, is run again
and does the same; what is learned is the same, bit for bit, for any number of workers, and as in
one process (`recommender.refit_threads`), as long as all machines have the same kind of processor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pyspark import RDD, StorageLevel
from pyspark.sql import SparkSession

from recommender.history import Ratings
from recommender.initial import SIDES, Side
from recommender.model import MemoryModel
from recommender.refit_blocks import Pair, RankingEpoch, RatingEpoch, cut, members
from recommender.rows import Rows
from recommender.strata import Schedule

Blocks = list[tuple[Pair, Ratings]]
"""Blocks of ratings, by position in their blocks' rows, in the order of learning."""

# Ratings that are sent as one record, 12 MB: the tasks that cut them have something to share.
_SLICE = 1 << 20
# Bytes of rows that leave the driver as one record, and records that one task is given: Spark
# refuses tasks of more than 128 MB.
_PIECE, _PIECES_A_TASK = 8 << 20, 8


@dataclass(frozen=True)
class Piece:
    """Some rows of a block, on their way.

    Attributes
    ----------
    side : {'user', 'item'}
    block : int
    first : int
        Position of the first of them in the block.
    rows : Rows
    """

    side: Side
    block: int
    first: int
    rows: Rows


class OnSpark:
    """Learns ratings by tasks of Spark's (a `Learner`), until it is closed.

    Parameters
    ----------
    spark : SparkSession
    ratings : Ratings
        By code.
    blocks : int
        B: so many tasks have work at most.
    workers : int, optional
        Tasks at a time; unset: as many as Spark has cores.
    """

    def __init__(
        self, spark: SparkSession, ratings: Ratings, blocks: int, workers: int | None = None
    ) -> None:
        self._context = spark.sparkContext
        most = workers or self._context.defaultParallelism
        self._schedule = Schedule(blocks, min(blocks, most))
        self._rounds: list[RDD[Blocks]] = []
        self._send(ratings)

    def close(self) -> None:
        """Let the executors forget the ratings."""
        for blocks in self._rounds:
            blocks.unpersist()

    def learn(self, epoch: RatingEpoch | RankingEpoch, model: MemoryModel) -> None:
        """Learn an epoch: one job, a stage a round."""
        schedule = self._schedule
        sent = [
            (schedule.worker(piece.block), piece)
            for side in SIDES
            for piece in _pieces(side, _rows(model, side), schedule.blocks, epoch.columns)
        ]
        tasks = max(schedule.workers, len(sent) // _PIECES_A_TASK)
        moving: RDD[tuple[int, Piece]] = self._context.parallelize(sent, tasks)
        for number, blocks in enumerate(self._rounds):
            held = moving.partitionBy(schedule.workers, int).mapPartitions(_held)
            moving = blocks.zip(held).flatMap(_Learning(schedule, epoch, number))
        for _, piece in moving.collect():
            rows = _rows(model, piece.side)
            where = members(piece.block, schedule.blocks, len(rows))[piece.first :]
            for name in epoch.columns:
                getattr(rows, name)[where[: len(piece.rows)]] = getattr(piece.rows, name)

    def _send(self, ratings: Ratings) -> None:
        schedule = self._schedule
        starts = range(0, len(ratings), _SLICE)
        slices = [
            (start, Ratings(*(column[start : start + _SLICE] for column in _columns(ratings))))
            for start in starts
        ]
        # A partition a worker from here on, so that blocks and rows of a worker meet.
        cells = (
            self._context.parallelize(slices, len(slices))
            .flatMap(_Cutting(schedule))
            .partitionBy(schedule.workers, int)
            .persist(StorageLevel.MEMORY_AND_DISK)
        )
        for number in range(schedule.rounds):
            blocks = cells.mapPartitionsWithIndex(_OfRound(schedule, number))
            # Read in each of some hundred epochs: on disk where memory lacks, since to cut them
            # again costs more than to read them.
            self._rounds.append(blocks.persist(StorageLevel.MEMORY_AND_DISK))
            blocks.count()
        cells.unpersist()


@dataclass(frozen=True)
class _Cutting:
    """Cuts a slice of the ratings in blocks; codes become positions in the blocks' rows."""

    schedule: Schedule

    def __call__(
        self, sliced: tuple[int, Ratings]
    ) -> Iterator[tuple[int, tuple[int, Pair, Ratings]]]:
        start, ratings = sliced
        blocks = self.schedule.blocks
        for pair, block in cut(ratings, blocks):
            local = Ratings(block.users // blocks, block.items // blocks, block.ratings)
            yield self.schedule.worker(pair[0]), (start, pair, local)


@dataclass(frozen=True)
class _OfRound:
    """Takes the blocks that a worker learns in a round, each put together from all slices."""

    schedule: Schedule
    number: int

    def __call__(
        self, worker: int, cells: Iterable[tuple[int, tuple[int, Pair, Ratings]]]
    ) -> Iterator[Blocks]:
        parts: dict[Pair, dict[int, Ratings]] = {
            pair: {} for pair in self.schedule.pairs(worker, self.number)
        }
        for _, (start, pair, ratings) in cells:
            if pair in parts:
                parts[pair][start] = ratings
        yield [
            (pair, _joined([found[start] for start in sorted(found)]))
            for pair, found in parts.items()
            if found
        ]


@dataclass(frozen=True)
class _Learning:
    """Learns the blocks of a worker in a round, and sends its rows where they are needed next."""

    schedule: Schedule
    epoch: RatingEpoch | RankingEpoch
    number: int

    def __call__(
        self, given: tuple[Blocks, dict[tuple[Side, int], Rows]]
    ) -> Iterator[tuple[int, Piece]]:
        blocks, rows = given
        for pair, ratings in blocks:
            users, items = rows["user", pair[0]], rows["item", pair[1]]
            every = np.arange(len(items), dtype=np.int32)
            self.epoch.learn(pair, ratings, users, items, every)
        following = self.number + 1
        for (side, block), held in rows.items():
            if side == "user" or following == self.schedule.rounds:
                worker = self.schedule.worker(block)
            else:
                worker = self.schedule.holder(block, following)
            yield worker, Piece(side, block, 0, held)


def _held(
    moving: Iterable[tuple[int, Piece]],
) -> Iterator[dict[tuple[Side, int], Rows]]:
    """The rows that have come to a worker, by block."""
    parts: dict[tuple[Side, int], list[Piece]] = {}
    for _, piece in moving:
        parts.setdefault((piece.side, piece.block), []).append(piece)
    yield {
        block: Rows.joined([piece.rows for piece in sorted(some, key=lambda piece: piece.first)])
        for block, some in parts.items()
    }


def _pieces(side: Side, rows: Rows, blocks: int, columns: tuple[str, ...]) -> Iterator[Piece]:
    """All rows by block, with the counts and these columns alone, in pieces of bounded size."""
    nothing = np.zeros((len(rows), 0), np.float32)
    sent = replace(
        rows,
        factors=rows.factors if "factors" in columns else nothing,
        ranking=rows.ranking if "ranking" in columns else nothing,
    )
    length = max(1, _PIECE // sent.format.row.itemsize)
    for block in range(blocks):
        where = members(block, blocks, len(rows))
        for first in range(0, max(len(where), 1), length):
            chosen = where[first : first + length].astype(np.intp)
            yield Piece(side, block, first, sent.take(chosen))


def _rows(model: MemoryModel, side: Side) -> Rows:
    return model.user_rows if side == "user" else model.item_rows


def _columns(ratings: Ratings) -> tuple[Any, Any, Any]:
    return ratings.users, ratings.items, ratings.ratings


def _joined(parts: list[Ratings]) -> Ratings:
    columns = zip(*(_columns(part) for part in parts), strict=True)
    return Ratings(*(np.concatenate(column) for column in columns))
