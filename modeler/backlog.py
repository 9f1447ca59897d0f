"""A backlog: large micro-batches, read and learned by all executors side by side."""

from __future__ import annotations

import time
from collections import Counter
from functools import reduce

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql.functions import col

from modeler.committer import Committer
from modeler.strata import BLOCK_SCHEMA, READ_SCHEMA, Cut, cutter, learner, reader
from modeler.task import Report, Task, added
from recommender.initial import SIDES, Side
from recommender.rating_head import Errors
from recommender.strata import Dealing, Schedule, deal
from storage.as_of import AsOf, furthest
from storage.staging import Address, slot_of
from storage.truth import Commit


class Backlog:
    """A task for each partition of the log, then B × B blocks.

    The last micro-batch is committed while this one is being read.

    Parameters
    ----------
    task : Task
    largest : int
        Records of a micro-batch at most.
    blocks : int
        B; 0: as many as Spark has cores.
    """

    def __init__(self, task: Task, largest: int, blocks: int) -> None:
        self._task = task
        self._blocks = blocks
        self.largest = largest

    def plan(self, records: DataFrame) -> DataFrame:
        """What Spark does with each micro-batch's records."""
        return records

    def learn(self, planned: DataFrame, committer: Committer) -> Commit | None:
        """Learn and stage a micro-batch; nothing where it has no record."""
        cores = planned.sparkSession.sparkContext.defaultParallelism
        blocks = self._blocks or cores
        schedule = Schedule(blocks, min(blocks, cores))
        before = committer.expected
        started = time.perf_counter()
        read = planned.mapInArrow(
            reader(self._task, before, committer.on_its_way, blocks), READ_SCHEMA
        ).persist(StorageLevel.MEMORY_AND_DISK)
        try:
            rows = read.select("partition", "report").collect()
            if not rows:
                return None
            rows.sort(key=lambda row: row["partition"])
            readers = [Report.decode(row["report"]) for row in rows]
            seconds = _to_the_clock(readers, time.perf_counter() - started)

            started = time.perf_counter()
            committer.await_committed()
            seconds["wait"] = time.perf_counter() - started

            with_ratings = [
                (row["partition"], one)
                for row, one in zip(rows, readers, strict=True)
                if one.staged.ratings
            ]
            total, count = before.rating_sum, before.rating_count
            learners: list[Report] = []
            started = time.perf_counter()
            if with_ratings:
                sampler, first = with_ratings[0]
                # Of one partition it is the very sum that one task would have come to.
                total, count = first.total, first.count
                for _, one in with_ratings[1:]:
                    total += one.total - before.rating_sum
                    count += one.count - before.rating_count
                dealings = dealt(readers, blocks)
                for version in self._task.versions:
                    cut = Cut(
                        version,
                        *(schedule, dealings, before, total, count, sampler),
                        self._withdrawals(before.batch + 1, readers),
                    )
                    learners += self._learn_blocks(read, cut)
            elapsed = time.perf_counter() - started
            seconds = added([seconds, _to_the_clock(learners, elapsed)])
        finally:
            read.unpersist()
        offsets = reduce(furthest, (one.next_offsets for one in readers), before.offsets)
        return Commit(
            as_of=AsOf(before.batch + 1, offsets, total, count),
            staged=[one.staged for one in (*readers, *learners)],
            errors={
                version.model: sum(
                    (one.errors.get(version.model, Errors()) for one in learners), Errors()
                )
                for version in self._task.versions
            },
            duplicates=sum(one.duplicates for one in readers),
            withdrawn=sum(one.withdrawn for one in readers),
            seconds=seconds,
        )

    def _withdrawals(self, batch: int, readers: list[Report]) -> Address | None:
        """Where the readers have staged withdrawals, if they have."""
        tasks = [one.staged.task for one in readers if one.staged.withdrawals]
        return Address(slot_of(batch), self._task.fence, tasks) if tasks else None

    def _learn_blocks(self, read: DataFrame, cut: Cut) -> list[Report]:
        pieces = read.mapInArrow(cutter(self._task, cut), BLOCK_SCHEMA)
        for number in range(cut.schedule.rounds):
            pieces = pieces.repartitionById(cut.schedule.workers, col("task")).mapInArrow(
                learner(self._task, cut, number), BLOCK_SCHEMA
            )
        return [
            Report.decode(row["payload"].decode()) for row in pieces.select("payload").collect()
        ]


def dealt(readers: list[Report], blocks: int) -> dict[Side, Dealing]:
    """Who belongs to which block, from what the readers have counted."""
    found: dict[Side, Dealing] = {}
    for side in SIDES:
        heavy: Counter[str] = Counter()
        for one in readers:
            heavy.update(one.heavy[side])
        found[side] = deal(heavy, sum(one.staged.ratings for one in readers), blocks)
    return found


def _to_the_clock(reports: list[Report], elapsed: float) -> dict[str, float]:
    """Durations of tasks that ran side by side, as parts of the time that all of them took."""
    seconds = added([one.seconds for one in reports])
    busy = sum(seconds.values())
    scaled = {step: duration * min(1.0, elapsed / busy) for step, duration in seconds.items()}
    return {**scaled, "spark": elapsed - sum(scaled.values())}
