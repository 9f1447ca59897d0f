"""Brings each committed micro-batch into Redis, beside the learning: it never waits for Redis.

While Redis is away batches are passed over; when it answers again the projection is written anew
from Postgres.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from psycopg2.extensions import connection
from tenacity import RetryCallState, Retrying, stop_when_event_set, wait_random_exponential
from tenacity.nap import sleep_using_event

from recommender.rows import RowFormat
from storage.as_of import AsOf
from storage.projection import Projection
from storage.settings import PostgresSettings, RedisSettings
from storage.staging import Staged, TaskStore, rows_of
from storage.truth import Lease, connect, read_as_of

log = structlog.get_logger(__name__)

# Rows and ratings read from Postgres at once while the projection is written anew.
_CHUNK = 20_000


@dataclass(frozen=True)
class Committed:
    """A micro-batch that is committed, and where its rows are still staged."""

    as_of: AsOf
    slot: int
    staged: Sequence[Staged]


class Projector:
    """A thread that follows the commits of one modeler.

    Parameters
    ----------
    lease : Lease
    form : RowFormat
    postgres : PostgresSettings
    redis : RedisSettings
    """

    def __init__(
        self, lease: Lease, form: RowFormat, postgres: PostgresSettings, redis: RedisSettings
    ) -> None:
        self._lease = lease
        self._form = form
        self._postgres = postgres
        self._projection = Projection(redis, lease.model)
        self._queue: queue.SimpleQueue[Committed | None] = queue.SimpleQueue()
        self._progress = threading.Condition()
        self._done = lease.as_of.batch  # every batch up to here is projected, or given up
        self._away = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="projector", daemon=True)
        self._thread.start()

    def submit(self, committed: Committed) -> None:
        """Project a micro-batch soon; its slot must stay as it is until `await_done`."""
        self._queue.put(committed)

    def await_done(self, batch: int, timeout: float = 60.0) -> bool:
        """Wait until this micro-batch is projected, or given up because Redis is away.

        Returns
        -------
        bool
            False where that took longer than `timeout` seconds.
        """
        with self._progress:
            return self._progress.wait_for(lambda: self._away or self._done >= batch, timeout)

    def close(self, timeout: float = 10.0) -> None:
        """Project what has been submitted, then stop; within `timeout` seconds."""
        self._queue.put(None)
        self._thread.join(timeout if not self._away else 0.0)
        self._stopping.set()
        self._thread.join(5.0)
        self._projection.close()

    def _run(self) -> None:
        store: TaskStore | None = None
        self._bring_up_to_date()
        while (committed := self._queue.get()) is not None and not self._stopping.is_set():
            try:
                store = store or TaskStore(self._postgres.postgres_dsn)
                self._follow(store, committed)
            except Exception as error:
                # Whatever it is, Postgres has the whole truth: write it anew when that works.
                log.warning("projection interrupted", reason=str(error), batch=self._done)
                if store is not None:
                    store.close()
                    store = None
                self._bring_up_to_date()
            self._finished(committed.as_of.batch)

    def _finished(self, batch: int) -> None:
        with self._progress:
            self._away = False
            self._done = max(self._done, batch)
            self._progress.notify_all()

    def _bring_up_to_date(self) -> None:
        """Write the projection anew where it is not up to date; try until that has worked."""

        def given_up(_: RetryCallState) -> None:
            with self._progress:
                self._away = True
                self._progress.notify_all()

        for attempt in Retrying(
            wait=wait_random_exponential(multiplier=0.1, max=2),
            stop=stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
            after=given_up,
        ):
            with attempt:
                self._write_anew()

    def _follow(self, store: TaskStore, committed: Committed) -> None:
        reached = self._projection.reaches()
        before = committed.as_of.batch - 1
        if reached is None or reached.batch < before:
            raise LookupError("the projection has been emptied, or has missed a micro-batch")
        if reached.batch == before:
            self._project(store, committed)

    def _project(self, store: TaskStore, committed: Committed) -> None:
        tasks = [one.task for one in committed.staged]
        where = (committed.slot, self._lease.fence, tasks)
        rows = store.staged_rows(*where)
        ratings = store.staged_ratings(*where)
        expected = sum(one.user_rows + one.item_rows + one.ratings for one in committed.staged)
        if len(rows) + len(ratings) != expected:
            raise LookupError("the micro-batch is no longer staged")
        changed: dict[str, list[str]] = {}
        for side in ("user", "item"):
            part = rows.filter(pc.equal(rows["side"], side))
            changed[side] = part["id"].to_pylist()
            self._projection.put_rows(side, changed[side], self._values(part))
        self._projection.put_ratings(_triples(ratings))
        catalogue = (
            store.staged_items(*where)["item"].to_pylist()
            if any(one.items for one in committed.staged)
            else []
        )
        self._projection.announce(committed.as_of, changed["user"], changed["item"], catalogue)

    def _values(self, rows: pa.Table) -> list[bytes]:
        packed = rows_of(rows, self._form).pack()
        size = packed.dtype.itemsize
        joined = packed.tobytes()
        return [joined[start : start + size] for start in range(0, len(joined), size)]

    def _write_anew(self) -> None:
        """Write the whole projection from one snapshot of the truth, unless it is up to date."""
        opened = connect(self._postgres)
        try:
            opened.set_session(isolation_level="REPEATABLE READ", readonly=True)
            with opened.cursor() as cur:
                as_of = read_as_of(cur, self._lease.model)
            reached = self._projection.reaches()
            if reached is not None and replace(reached, at=as_of.at) == as_of:
                return
            started = time.monotonic()
            self._projection.clear()
            for side in ("user", "item"):
                query = f"SELECT id, n, state FROM {side}_rows_{self._lease.model}"
                for part in _chunks(opened, query):
                    table = pa.table(
                        {
                            "id": [row[0] for row in part],
                            "n": pa.array([row[1] for row in part], pa.int32()),
                            "state": [bytes(row[2]) for row in part],
                        }
                    )
                    self._projection.put_rows(side, table["id"].to_pylist(), self._values(table))
            history = 'SELECT "user", item, rating FROM ratings ORDER BY partition, "offset"'
            for part in _chunks(opened, history):
                self._projection.put_ratings(part)
            self._projection.announce_anew(as_of)
            log.info(
                "projection written anew",
                batch=as_of.batch,
                seconds=round(time.monotonic() - started, 3),
            )
        finally:
            opened.close()


def _chunks(opened: connection, query: str) -> Iterator[list[tuple[Any, ...]]]:
    with opened.cursor("projector") as cur:
        cur.itersize = _CHUNK
        cur.execute(query)
        while part := cur.fetchmany(_CHUNK):
            yield part


def _triples(ratings: pa.Table) -> Iterator[tuple[str, str, float]]:
    values = ratings["rating"].to_numpy().astype(np.float64).tolist()
    return zip(ratings["user"].to_pylist(), ratings["item"].to_pylist(), values, strict=True)
