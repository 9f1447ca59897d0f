"""Reading the truth (Postgres): models, rows in bulk, one user, the catalogue, measurements.

Nothing here writes. Every read has a limit on its time; a lost connection is opened again, and what
still fails is raised as `recommender.errors.Unavailable`. Safe to use from several threads.
"""

from __future__ import annotations

import json
import math
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import psycopg2
import pyarrow as pa
import tenacity
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ, connection, make_dsn

from recommender.errors import Unavailable
from recommender.rows import Counts, RowFormat, Rows
from storage import arrow_reader
from storage.as_of import AsOf, parse_offsets
from storage.history import with_latest
from storage.partitions import partition
from storage.withdrawals import users_since

Result = TypeVar("Result")

ROWS_PER_FETCH = 10_000
"""Rows that a bulk read holds as Python objects at a time: some 5 MB at rank 32 with both heads."""

ATTEMPTS = 3
"""Tries of one read. The first may meet connections that a restart of Postgres broke while they lay
idle; the second opens a new one; the third covers a server that is just coming up."""

LEAST_ROW_BYTES = 28
"""What Postgres needs for a row of any table, beside its values: a header and a pointer to it."""

NO_ATTRIBUTES: Mapping[str, Any] = {}
"""Those of all items that have none."""

LOST = (psycopg2.OperationalError, psycopg2.InterfaceError)


@dataclass(frozen=True)
class ModelRecord:
    """One row of ``models`` with how far it has learned.

    Parameters
    ----------
    model : int
        Its number.
    status : str
        ``training``, ``candidate``, ``serving`` or ``retired``.
    data : str
        Where its ratings come from, in words.
    settings : mapping
        ``rank``, ``ranking_rank``, ``rating_min``, ``rating_max``, ``learning_rate``, ...
    as_of : AsOf
        Its state after the last commit.
    """

    model: int
    status: str
    data: str
    settings: Mapping[str, Any]
    as_of: AsOf

    @property
    def row_format(self) -> RowFormat:
        """Layout of this model's rows."""
        return RowFormat(
            rank=int(self.settings["rank"]), ranking_rank=int(self.settings.get("ranking_rank", 0))
        )


@dataclass(frozen=True)
class ItemRows:
    """Item rows of a model.

    Parameters
    ----------
    items : pa.Array
        Strings.
    rows : Rows
        In the order of the items.
    """

    items: pa.Array
    rows: Rows


@dataclass(frozen=True)
class ActiveUsers:
    """Users of a model, those who rated last first.

    Parameters
    ----------
    users : list of str
    batches : (n_users,) int64
        The micro-batch that changed each row last.
    rows : Rows
        In the order of the users.
    """

    users: list[str]
    batches: npt.NDArray[np.int64]
    rows: Rows


@dataclass(frozen=True, slots=True)  # a million of them stay in memory
class CatalogueEntry:
    """What the owner of the catalogue has said about one item."""

    item: str
    title: str | None
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class UserRecord:
    """What the truth holds of one user.

    Parameters
    ----------
    row : (1,) structured array or None
        In the layout of `recommender.rows.RowFormat.row`; None where the model has not learned
        from this user.
    rated : dict or None
        Item to the latest rating; None where it was not asked for.
    """

    row: npt.NDArray[np.void] | None
    rated: dict[str, float] | None


@dataclass(frozen=True)
class Measurement:
    """Prequential error over a stretch of consecutive micro-batches.

    Parameters
    ----------
    batch : int
        The last micro-batch of the stretch.
    at : float
        Its time, seconds since the epoch.
    ratings : int
        Ratings learned in the stretch.
    total_ratings : int
        Ratings learned by the model up to its end.
    rmse, mae : float
        Over the stretch, each rating tested before it was learned.
    """

    batch: int
    at: float
    ratings: int
    total_ratings: int
    rmse: float
    mae: float


@dataclass(frozen=True)
class NoticedDrift:
    """A drift of a model's loss (`recommender.drift`).

    Parameters
    ----------
    batch : int
        The micro-batch at which it was noticed.
    at : float
        When, seconds since the epoch.
    usual, deviation, loss : float
        Mean squared error before and its standard deviation; and at that micro-batch.
    """

    batch: int
    at: float
    usual: float
    deviation: float
    loss: float


class Snapshot:
    """Reads that all see the same moment of the truth; made by `TruthReader.read`."""

    def __init__(self, opened: connection, dsn: str, statement_timeout: float) -> None:
        self._connection = opened
        self._dsn = dsn
        self._statement_timeout = statement_timeout

    def fetch(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query; for what other modules of this room read."""
        with self._connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall()

    def serving_model(self) -> ModelRecord | None:
        """The model that serves, or None where there is none yet."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT m.model, m.status, m.data, m.settings, m.rating_sum, m.rating_count, m.batch,
                       (SELECT extract(epoch FROM b.at)::double precision FROM micro_batches b
                         WHERE b.model = m.model AND b.batch = m.batch),
                       (SELECT jsonb_object_agg(t.topic, t.partitions) FROM (
                            SELECT topic, jsonb_object_agg(partition, next_offset) AS partitions
                              FROM offsets o WHERE o.model = m.model GROUP BY topic) t)
                  FROM models m WHERE m.status = 'serving'
                """
            )
            found = cursor.fetchone()
        if found is None:
            return None
        model, status, data, settings, rating_sum, rating_count, batch, at, offsets = found
        return ModelRecord(
            model=model,
            status=status,
            data=data,
            settings=settings,
            as_of=AsOf(
                batch=batch,
                offsets=parse_offsets(offsets or {}),
                rating_sum=rating_sum,
                rating_count=rating_count,
                at=at,
            ),
        )

    def item_rows(
        self,
        model: int,
        row_format: RowFormat,
        after_batch: int | None = None,
        progress: Callable[[int, int], None] = lambda *_: None,
    ) -> ItemRows:
        """The item rows of a model: all, or those changed after a micro-batch.

        Parameters
        ----------
        model : int
        row_format : RowFormat
        after_batch : int, optional
        progress : callable
            Is told after each part how many have been read, and of how many by Postgres' last
            estimate; 0: it has none yet.

        Raises
        ------
        ValueError
            If a stored row has another length than the model's settings say.
        """
        query = f"SELECT id, n, state FROM item_rows WHERE model = {model:d}"
        if after_batch is not None:
            query += f" AND batch > {after_batch:d}"
        most, estimated = self._item_room(model, row_format)
        progress(0, estimated)
        rows = Rows.empty(most, row_format)  # memory that is not written to costs none
        items: list[pa.Array] = []
        length = 0
        for batch in self._batches(query, most):
            states = _states(row_format, batch["state"])
            if length + len(states) > len(rows):  # Postgres has compressed them
                rows = rows.grown(2 * (length + len(states)))
            rows.put_states(length, _counts(batch["n"]), states)
            items.append(batch["id"])
            length += len(states)
            progress(length, max(length, estimated) if estimated else 0)
        return ItemRows(
            pa.concat_arrays(items) if items else pa.array([], pa.string()),
            rows.first(length),
        )

    def _item_room(self, model: int, row_format: RowFormat) -> tuple[int, int]:
        """Items for which a model's table has room, and how many it has by the last estimate.

        Counting them would take up to a second a million, in which nothing is read.
        """
        found = self.fetch(
            "SELECT pg_table_size(oid), reltuples FROM pg_class WHERE oid = to_regclass(%s)",
            (partition("item", model),),
        )
        size, estimated = found[0] if found else (0, 0)
        return size // row_format.state.itemsize, max(0, int(estimated))

    def catalogue_batches(self) -> Iterator[pa.RecordBatch]:
        """The whole catalogue in any order: ``item``, ``title`` and ``attributes``, as JSON."""
        ((size,),) = self.fetch("SELECT pg_table_size('items')")
        most = size // LEAST_ROW_BYTES
        yield from self._batches("SELECT item, title, attributes::text FROM items", most)

    def _batches(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        """An answer of so many rows at most; the same moment of the truth, by another connection.

        One statement, however many rows: it may take as long as reading them in parts.
        """
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_export_snapshot()")
            (moment,) = cursor.fetchone() or ("",)
        parts = 1 + rows // ROWS_PER_FETCH
        yield from arrow_reader.batches(self._dsn, moment, parts * self._statement_timeout, query)

    def users(
        self, model: int, row_format: RowFormat, users: Sequence[str], with_ratings: bool = True
    ) -> list[UserRecord]:
        """Rows of some users, in their order, and where wanted their latest ratings."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, n, state FROM user_rows WHERE model = %s AND id = ANY(%s)",
                (model, list(users)),
            )
            rows = {user: _packed(row_format, (n,), (state,)) for user, n, state in cursor}
        return [
            UserRecord(rows.get(user), self.ratings(user) if with_ratings else None)
            for user in users
        ]

    def ratings(self, user: str) -> dict[str, float]:
        """One user's ratings, the latest for each item, most recently rated last."""
        rated: dict[str, float] = {}
        with self._connection.cursor() as cursor:
            # A user's ratings share a partition, so their offsets are in the order of their giving.
            cursor.execute(
                """SELECT item, rating FROM ratings WHERE "user" = %s ORDER BY "offset" """, (user,)
            )
            for item, rating in cursor:
                rated.pop(item, None)
                rated[item] = float(rating)
        return rated

    def latest_items(self, ratings: int) -> list[str]:
        """What about the latest ratings were of, the oldest first.

        Reads the end of the history's file instead of sorting it (`history.with_latest`).
        """
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT unnest(item) FROM history WHERE {with_latest(ratings)}")
            return [item for (item,) in cursor][-ratings:]

    def withdrawn_since(self, next_offsets: Mapping[int, int]) -> list[str]:
        """Who has taken back ratings at or past these offsets of the partitions."""
        with self._connection.cursor() as cursor:
            return list(users_since(cursor, next_offsets))

    def user_ids(self, model: int, after: str, n: int) -> list[tuple[str, int]]:
        """Users of a model and their numbers of ratings, in the order of ids, after an id."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, n FROM user_rows WHERE model = %s AND id > %s ORDER BY id LIMIT %s",
                (model, after, n),
            )
            return [(user, n_ratings) for user, n_ratings in cursor]

    def active_users(self, model: int, row_format: RowFormat, n: int) -> ActiveUsers:
        """The users whose ratings were learned last; reads all rows of users once."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                """SELECT id, n, batch, state FROM user_rows WHERE model = %s
                    ORDER BY batch DESC, n DESC, id LIMIT %s""",
                (model, n),
            )
            found = cursor.fetchall()
        users, counts, batches, states = zip(*found, strict=True) if found else ((), (), (), ())
        rows = Rows.unpack(_packed(row_format, counts, states))
        return ActiveUsers(list(users), np.array(batches, np.int64), rows)

    def catalogue(self, items: Sequence[str] | None = None) -> list[CatalogueEntry]:
        """The whole catalogue by item, or the entries of the given items."""
        return [entry for part in self.catalogue_in_parts(items) for entry in part]

    def catalogue_in_parts(
        self, items: Sequence[str] | None = None
    ) -> Iterator[list[CatalogueEntry]]:
        """The same, some thousands of entries at a time."""
        query = "SELECT item, title, attributes::text FROM items"
        parameters: tuple[list[str], ...] = ()
        if items is not None:
            query += " WHERE item = ANY(%s)"
            parameters = (list(items),)
        with self._connection.cursor("catalogue") as cursor:
            cursor.itersize = ROWS_PER_FETCH
            cursor.execute(query + " ORDER BY item", parameters)
            while found := cursor.fetchmany(ROWS_PER_FETCH):
                yield [
                    CatalogueEntry(
                        item, title, NO_ATTRIBUTES if attributes == "{}" else json.loads(attributes)
                    )
                    for item, title, attributes in found
                ]

    def count_users(self, model: int) -> int:
        """Users that the model has a row for; reads the whole index (0.1 s a million)."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM user_rows WHERE model = %s", (model,))
            found = cursor.fetchone()
        return int(found[0]) if found else 0

    def measurements(
        self, model: int, points: int, after_batch: int | None = None
    ) -> list[Measurement]:
        """The prequential error over the model's life (or after a micro-batch), in few points.

        Consecutive micro-batches are put together in at most `points` stretches of equally many
        micro-batches; each stretch's error is taken over all its ratings, so nothing is left out.
        """
        with self._connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT max(batch), extract(epoch FROM max(at))::double precision, sum(ratings),
                       max(total_ratings), sum(squared_error), sum(absolute_error)
                  FROM (SELECT *, ntile(%s) OVER (ORDER BY batch) AS stretch FROM micro_batches
                         WHERE model = %s AND batch > %s AND ratings > 0) numbered
                 GROUP BY stretch ORDER BY stretch
                """,
                (points, model, -1 if after_batch is None else after_batch),
            )
            return [
                Measurement(
                    batch=batch,
                    at=at,
                    ratings=int(ratings),
                    total_ratings=int(total),
                    rmse=math.sqrt(squared / ratings),
                    mae=absolute / ratings,
                )
                for batch, at, ratings, total, squared, absolute in cursor
            ]

    def last_drift(self, model: int) -> NoticedDrift | None:
        """The last drift that was noticed while the model served; None without any."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                """SELECT batch, extract(epoch FROM at)::double precision, usual, deviation, loss
                   FROM drifts WHERE model = %s ORDER BY batch DESC LIMIT 1""",
                (model,),
            )
            found = cursor.fetchone()
        return None if found is None else NoticedDrift(*found)


class TruthReader:
    """A few connections to Postgres for reading, shared by the threads of one process.

    Parameters
    ----------
    dsn : str
        libpq connection string.
    connect_timeout : float
        Seconds to wait for a connection, both a new one and one that another thread uses (libpq
        counts whole seconds and at least two).
    statement_timeout : float
        Seconds that one statement may take; a bulk read has this for each `ROWS_PER_FETCH` rows.
    size : int
        Connections open at the same time at most.

    Examples
    --------
    ``reader.read(lambda snapshot: snapshot.serving_model())``
    """

    def __init__(
        self, dsn: str, connect_timeout: float, statement_timeout: float, size: int = 4
    ) -> None:
        self._dsn = dsn
        self._connect_timeout = connect_timeout
        self._statement_timeout = statement_timeout
        self._free = threading.BoundedSemaphore(size)
        self._idle: queue.LifoQueue[connection] = queue.LifoQueue()
        self._closed = False

    def read(self, work: Callable[[Snapshot], Result]) -> Result:
        """Do some reads at one moment of the truth; tried again as a whole on a lost connection.

        Raises
        ------
        Unavailable
            If Postgres cannot be reached, takes too long or lacks its schema, or if every
            connection is in use for longer than the connect timeout.
        """
        try:
            for attempt in tenacity.Retrying(
                stop=tenacity.stop_after_attempt(ATTEMPTS),
                wait=tenacity.wait_exponential_jitter(initial=0.02, max=0.2, jitter=0.05),
                retry=tenacity.retry_if_exception(_is_lost),
                reraise=True,
            ):
                with attempt, self._connection() as opened:
                    return work(Snapshot(opened, self._options(), self._statement_timeout))
        except psycopg2.Error as error:
            raise Unavailable("Postgres", str(error).strip() or type(error).__name__) from error
        raise AssertionError("tenacity ends by returning or raising")

    def close(self) -> None:
        """Close all idle connections; those in use close when they are given back."""
        self._closed = True
        self._drop_idle()

    @contextmanager
    def _connection(self) -> Iterator[connection]:
        """Lend a connection in a fresh read-only transaction; one that failed is not kept."""
        if not self._free.acquire(timeout=self._connect_timeout):
            raise Unavailable(
                "Postgres", f"all connections were in use for {self._connect_timeout:g} seconds"
            )
        opened: connection | None = None
        try:
            try:
                opened = self._idle.get_nowait()
            except queue.Empty:
                opened = self._connect()
            yield opened
            opened.rollback()  # ends the snapshot
        except BaseException as error:
            if isinstance(error, Exception) and _is_lost(error):
                self._drop_idle()  # what broke this one has most likely broken the others
            if opened is not None:
                with suppress(psycopg2.Error):
                    opened.close()
            raise
        else:
            if self._closed:
                opened.close()
            else:
                self._idle.put(opened)
        finally:
            self._free.release()

    def _connect(self) -> connection:
        opened: connection = psycopg2.connect(self._options())
        opened.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        return opened

    def _options(self) -> str:
        """The connection string with the limits on waiting."""
        return make_dsn(
            self._dsn,
            connect_timeout=max(2, math.ceil(self._connect_timeout)),
            # A server that vanished without a word is noticed within about the statement timeout.
            keepalives_idle=max(1, math.ceil(self._statement_timeout / 2)),
            keepalives_interval=1,
            keepalives_count=3,
            tcp_user_timeout=int(self._statement_timeout * 1000),
            options=f"-c statement_timeout={int(self._statement_timeout * 1000)}",
            application_name="recommender-reader",
        )

    def _drop_idle(self) -> None:
        with suppress(queue.Empty):
            while True:
                idle = self._idle.get_nowait()
                with suppress(psycopg2.Error):
                    idle.close()


def _is_lost(error: BaseException) -> bool:
    """Whether a connection was lost or not made, as against a statement that took too long."""
    return isinstance(error, LOST) and not isinstance(error, psycopg2.errors.QueryCanceled)


def _counts(counts: pa.Array) -> Counts:
    """Arrow's int32, none missing; its own `to_numpy` imports pandas where it is installed."""
    return np.frombuffer(counts.buffers()[1], np.int32, len(counts), 4 * counts.offset)


def _states(row_format: RowFormat, states: pa.Array) -> npt.NDArray[np.void]:
    """Packed states out of Arrow's binary values, without a copy."""
    size = row_format.state.itemsize
    _, offsets, values = states.buffers()
    ends = np.frombuffer(offsets, np.int32)[states.offset : states.offset + len(states) + 1]
    if (np.diff(ends) != size).any():
        raise ValueError(
            f"stored rows do not have the {size} bytes of rank {row_format.rank} "
            f"and ranking rank {row_format.ranking_rank}"
        )
    if not len(states):
        return np.empty(0, row_format.state)
    return np.frombuffer(values, row_format.state, len(states), int(ends[0]))


def _packed(
    row_format: RowFormat, counts: Sequence[int], states: Sequence[memoryview]
) -> npt.NDArray[np.void]:
    """Put counts and packed states together to rows."""
    packed = np.frombuffer(b"".join(states), dtype=row_format.state)
    if len(packed) != len(counts):
        raise ValueError(
            f"{len(counts)} rows hold {len(packed)} rows' bytes at rank {row_format.rank} "
            f"and ranking rank {row_format.ranking_rank}"
        )
    rows = row_format.empty(len(counts))
    rows["n"] = counts
    for name in row_format.state.names or ():
        rows[name] = packed[name]
    return rows
