"""Brings a model's committed micro-batches into Redis; the learning never waits for Redis.

While Redis is away batches are passed over; when it answers again what it lacks is brought from
Postgres: everything if it has been emptied, the changes since if it only fell behind.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from psycopg2.extensions import connection, cursor
from redis import RedisError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_not_exception_type,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.nap import sleep_using_event

from modeler.settings import ModelerSettings
from modeler.steps import Step, reached
from modeler.task import Version
from recommender.errors import Fenced
from recommender.initial import SIDES, Side
from storage import rated
from storage.as_of import AsOf, parse_offsets
from storage.postgres_client import connect
from storage.projection import Projection
from storage.staging import Address, Staged, TaskStore, rows_of, slot_of
from storage.truth import Lease, read_as_of
from storage.withdrawals import UserNow, Withdrawn, items_now, users_now, users_since

log = structlog.get_logger(__name__)

# Rows and ratings read from Postgres at once while the projection is written anew.
_CHUNK = 20_000
# Seconds without a micro-batch after which it is looked whether Redis still has the last one.
_LOOKED_AFTER = 1.0


@dataclass(frozen=True)
class Committed:
    """A micro-batch that is committed, where its rows are still staged, and what it took back."""

    as_of: AsOf
    staged: Sequence[Staged]
    withdrawn: Withdrawn


class Projector:
    """A thread that follows the commits of one modeler, for one of its models.

    Parameters
    ----------
    lease : Lease
    version : Version
        The model.
    settings : ModelerSettings
        Where the stores are, and which topic is that of the ratings.
    """

    def __init__(self, lease: Lease, version: Version, settings: ModelerSettings) -> None:
        self._lease = lease
        self._model = version.model
        self._form = version.settings.format
        self._settings = settings
        self._projection = Projection(settings, version.model)
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
        try:
            self._bring_up_to_date()
            while (committed := self._next()) is not None and not self._stopping.is_set():
                try:
                    store = store or TaskStore(self._settings.postgres_dsn)
                    self._follow(store, committed)
                except Exception as error:
                    # Whatever it is, Postgres has the whole truth: bring it when that works.
                    log.warning("projection interrupted", reason=str(error), batch=self._done)
                    if store is not None:
                        store.close()
                        store = None
                    if isinstance(error, RedisError):
                        self._pass_over()  # it may be away for long
                    self._bring_up_to_date()
                self._finished(committed.as_of.batch)
        except Fenced as error:
            log.warning("projection left to another modeler", reason=str(error))
            self._pass_over()
        finally:
            if store is not None:
                store.close()

    def _next(self) -> Committed | None:
        """The next micro-batch; while there is none, see to it that Redis keeps what it has."""
        while True:
            try:
                return self._queue.get(timeout=_LOOKED_AFTER)
            except queue.Empty:
                if not self._is_whole():
                    log.warning("projection lost", batch=self._done)
                    self._bring_up_to_date()
                    self._finished(self._done)

    def _is_whole(self) -> bool:
        """Whether Redis is there, and has not lost what was written."""
        try:
            there = self._projection.reaches()
        except RedisError:
            return False
        return there is not None and there.batch >= self._done

    def _finished(self, batch: int) -> None:
        with self._progress:
            self._away = False
            self._done = max(self._done, batch)
            self._progress.notify_all()

    def _pass_over(self) -> None:
        """From here on learning does not wait; what is passed over is brought later."""
        with self._progress:
            self._away = True
            self._progress.notify_all()

    def _bring_up_to_date(self) -> None:
        """Bring from the truth what the projection lacks; try until that has worked.

        Raises
        ------
        Fenced
            If the models have another modeler now.
        """

        def failed(state: RetryCallState) -> None:
            self._pass_over()
            if state.attempt_number == 1 and state.outcome is not None:
                log.warning("projection waits", reason=str(state.outcome.exception()))

        for attempt in Retrying(
            retry=retry_if_not_exception_type(Fenced),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            stop=stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
            after=failed,
            retry_error_callback=lambda _: None,
            reraise=True,
        ):
            with attempt:
                self._catch_up()

    def _follow(self, store: TaskStore, committed: Committed) -> None:
        there = self._projection.reaches()
        before = committed.as_of.batch - 1
        if there is None or there.batch < before:
            raise LookupError("the projection has been emptied, or has missed a micro-batch")
        if there.batch == before:
            self._project(store, committed)

    def _project(self, store: TaskStore, committed: Committed) -> None:
        where = Address(
            slot_of(committed.as_of.batch),
            self._lease.fence,
            [one.task for one in committed.staged],
        )
        rows = store.staged_rows(where, self._model)
        ratings = store.staged_ratings(where)
        items = (
            store.staged_items(where)["item"].to_pylist()
            if any(one.items for one in committed.staged)
            else []
        )
        expected = sum(
            one.user_rows.get(self._model, 0)
            + one.item_rows.get(self._model, 0)
            + one.ratings
            + one.items
            for one in committed.staged
        )
        if len(rows) + _length(ratings["item"]) + len(items) != expected:
            raise LookupError("the micro-batch is no longer staged")
        changed: dict[Side, list[str]] = {}
        for side in SIDES:
            part = rows.filter(pc.equal(rows["side"], side))
            changed[side] = part["id"].to_pylist()
            self._projection.put_rows(side, changed[side], self._values(part))
            if side == "user":
                reached(Step.HALF_PROJECTED)
        raters = self._projection.put_ratings(*_in_log_order(ratings))
        withdrawn = committed.withdrawn
        if withdrawn.users:
            self._withdraw(withdrawn)
            changed["user"] = list({*changed["user"], *withdrawn.users})
            changed["item"] = list({*changed["item"], *withdrawn.items})
            raters = list({*raters, *withdrawn.users})
        reached(Step.ENTRY_AHEAD)
        self._projection.announce(
            committed.as_of, changed["user"], changed["item"], items, withdrawn.users, raters
        )

    def _withdraw(self, withdrawn: Withdrawn) -> None:
        """Bring what is left of those who withdrew, and of what.

        From the truth as it is now: where it has gone on since, what is brought then comes again.
        """
        with closing(connect(self._settings)) as opened:
            opened.set_session(isolation_level="REPEATABLE READ", readonly=True)
            with opened.cursor() as cur:
                self._put_rows("item", items_now(cur, self._model, withdrawn.items))
                self._put_users(cur, withdrawn.users)

    def _put_users(self, cur: cursor, users: Sequence[str]) -> None:
        for part in users_now(cur, self._model, users):
            rows = self._values(_table([(one.user, one.n, one.state) for one in part if one.n]))
            row_of = dict(zip((one.user for one in part if one.n), rows, strict=True))
            self._projection.replace_users(
                [(one.user, row_of.get(one.user, b""), _rated(one)) for one in part]
            )

    def _put_rows(self, side: Side, rows: Sequence[tuple[str, int, Any]]) -> None:
        table = _table(rows)
        self._projection.put_rows(side, table["id"].to_pylist(), self._values(table))

    def _values(self, rows: pa.Table) -> list[bytes]:
        packed = rows_of(rows, self._form).pack()
        size = packed.dtype.itemsize
        joined = packed.tobytes()
        return [joined[start : start + size] for start in range(0, len(joined), size)]

    def _catch_up(self) -> None:
        """Bring what the projection lacks, from one snapshot of the truth.

        The claim comes first: what another modeler's projector wrote before it is in the snapshot,
        and what it writes after it has no effect.
        """
        self._projection.claim()
        opened = connect(self._settings)
        try:
            opened.set_session(isolation_level="REPEATABLE READ", readonly=True)
            with opened.cursor() as cur:
                self._check_fence(cur)
                as_of = read_as_of(cur, self._model)
                there = self._projection.reaches()
                if there is not None and _same(there, as_of):
                    self._serve_if_due()
                    return
                known = there is not None and self._was_so(cur, there)
            started = time.monotonic()
            if there is not None and known:
                self._write(opened, there)
                what = "projection caught up"
            else:
                self._pass_over()  # it takes long where the model is large
                self._projection.clear()
                self._write(opened, AsOf())
                what = "projection written anew"
            self._projection.announce_anew(as_of)
            self._serve_if_due()
            log.info(
                what,
                model=self._model,
                batch=as_of.batch,
                seconds=round(time.monotonic() - started, 3),
            )
        finally:
            opened.close()

    def _serve_if_due(self) -> None:
        """Only now may readers turn to the serving model: the projection has all of it."""
        if self._model == self._lease.serving:
            reached(Step.SERVING_AHEAD)
            self._projection.serve()
            for model in self._retired():
                with closing(Projection(self._settings, model)) as projection:
                    projection.forget()

    def _retired(self) -> list[int]:
        with closing(connect(self._settings)) as opened, opened.cursor() as cur:
            cur.execute("SELECT model FROM models WHERE status = 'retired'")
            return [model for (model,) in cur.fetchall()]

    def _check_fence(self, cur: cursor) -> None:
        cur.execute("SELECT fence FROM models WHERE model = %s", (self._model,))
        if cur.fetchone() != (self._lease.fence,):
            raise Fenced("another modeler has taken over")

    def _was_so(self, cur: cursor, there: AsOf) -> bool:
        """Whether the truth was once in the state that the projection is in.

        It was not where Postgres was restored to an earlier time, or made anew: what it learned
        since may be as much, but was committed at another time.
        """
        cur.execute(
            """SELECT offsets, total_ratings, extract(epoch FROM at)::float8 FROM micro_batches
               WHERE model = %s AND batch = %s""",
            (self._model, there.batch),
        )
        found = cur.fetchone()
        if found is None:
            return False
        offsets, count, at = found
        return _same(there, AsOf(there.batch, parse_offsets(offsets), there.rating_sum, count, at))

    def _write(self, opened: connection, since: AsOf) -> None:
        """Write what the truth has learned since that state."""
        for side in SIDES:
            query = f"SELECT id, n, state FROM {side}_rows_{self._model} WHERE batch > %s"
            for part in _chunks(opened, query, since.batch):
                self._put_rows(side, part)
        learned = since.offsets.get(self._settings.ratings_topic, {})
        history = """SELECT "user", item, rating FROM ratings
                     WHERE "offset" >= coalesce((%s::jsonb ->> partition::text)::bigint, 0)
                     ORDER BY partition, "offset" """
        for part in _chunks(opened, history, json.dumps(learned)):
            users, items, ratings = zip(*part, strict=True)
            self._projection.put_ratings(
                pa.array(users), pa.array(items), np.array(ratings, np.float32)
            )
        if since.batch:
            with opened.cursor() as cur:
                self._put_users(cur, list(users_since(cur, learned)))


def _same(one: AsOf, other: AsOf) -> bool:
    """Whether they are of one commit; Postgres keeps times to the microsecond."""
    when = abs((one.at or 0.0) - (other.at or 0.0)) < 1e-3
    return when and replace(one, at=None) == replace(other, at=None)


def _table(rows: Sequence[tuple[str, int, Any]]) -> pa.Table:
    return pa.table(
        {
            "id": pa.array([row[0] for row in rows], pa.string()),
            "n": pa.array([row[1] for row in rows], pa.int32()),
            "state": pa.array([bytes(row[2]) for row in rows], pa.binary()),
        }
    )


def _rated(user: UserNow) -> bytes:
    ids = pa.array([user.user] * len(user.items), pa.string())
    _, records = rated.encode(
        ids, pa.array(user.items, pa.string()), np.array(user.ratings, np.float32)
    )
    return b"".join(records)


def _chunks(opened: connection, query: str, *parameters: object) -> Iterator[list[tuple[Any, ...]]]:
    with opened.cursor("projector") as cur:
        cur.itersize = _CHUNK
        cur.execute(query, parameters)
        while part := cur.fetchmany(_CHUNK):
            yield part


def _length(lists: pa.ChunkedArray) -> int:
    """Values of all of them."""
    return int(pc.sum(pc.list_value_length(lists)).as_py() or 0)


def _in_log_order(
    rows: pa.Table,
) -> tuple[pa.Array, pa.Array, npt.NDArray[np.float32], npt.NDArray[np.integer]]:
    """Staged ratings as `storage.rated.encode` takes them: a user's are in the log's order."""
    first = pc.list_element(rows["offset"], 0).to_numpy()
    order = np.lexsort((first, rows["partition"].to_numpy()))
    ordered = rows.select(["user", "item", "rating"]).take(pa.array(order)).combine_chunks()
    users, items, ratings = (column.combine_chunks() for column in ordered.columns)
    lengths = pc.list_value_length(items).to_numpy()
    return users, items.flatten(), ratings.flatten().to_numpy(), lengths
