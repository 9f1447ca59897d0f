"""The truth's writer: who may learn a model, and the one transaction that commits a micro-batch.

Reading for serving is in `storage.reading`; what tasks do in bulk is in `storage.staging`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from psycopg2.extensions import cursor
from psycopg2.extras import execute_values
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from recommender.errors import Fenced, RecommenderError
from recommender.initial import SIDES, Side
from recommender.rating_head import Errors
from storage.as_of import AsOf, parse_offsets
from storage.partitions import make_partitions
from storage.postgres_client import connect
from storage.settings import PostgresSettings
from storage.staging import SLOTS, Address, Staged, slot_of
from storage.withdrawals import Withdrawn, note, withdraw

# The advisory lock that a modeler holds. Any constant serves; it only has to differ from other
# users' of the same database.
_ADVISORY_LOCK = (0x6D6F64, 0)

# Where the client of this session has gone, silently or by a kill in the middle of a statement, the
# server ends the session, and with it the lock, in some 15 seconds at most (the default: 2 hours).
_NOTICE_A_LOST_CLIENT = """
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3;
    SET tcp_user_timeout = 15000; SET client_connection_check_interval = 1000
"""


class EventTwice(RecommenderError):
    """Tasks that did not know of each other have staged one event id: let one task see both."""


class ModelsChanged(RecommenderError):
    """A model has joined or was retired: take hold anew of those that there are now."""


class StagingLost(RecommenderError):
    """What the tasks say they staged is not there (Postgres was restarted): run the batch again."""


@dataclass(frozen=True)
class Lease:
    """The right to learn, and the models' state when it was taken.

    Attributes
    ----------
    serving : int
        The model that serves.
    fence : int
        Number of this holder; every commit checks that no later one exists.
    models : mapping
        All models that are learned, the serving one first, with their own settings as stored when
        they were made.
    as_of : AsOf
        Theirs: all have learned the same ratings.
    """

    serving: int
    fence: int
    models: Mapping[int, Mapping[str, Any]]
    as_of: AsOf


@dataclass(frozen=True)
class Commit:
    """One micro-batch, learned and staged, to be committed.

    Attributes
    ----------
    as_of : AsOf
        The models' state with this micro-batch learned; ``at`` is set by the commit.
    staged : sequence of Staged
        What each task reported.
    errors : mapping
        Prequential, by model.
    duplicates : int
    withdrawn : int
        Ratings of the micro-batch that were taken back in it, and not learned.
    seconds : mapping
        Duration of each step so far; the commit adds its own.
    """

    as_of: AsOf
    staged: Sequence[Staged]
    errors: Mapping[int, Errors]
    duplicates: int = 0
    withdrawn: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)

    def total(self, what: str) -> int:
        """Number of staged records of one kind, over all tasks."""
        return sum(getattr(one, what) for one in self.staged)

    def rows(self, model: int, side: Side) -> int:
        """Number of staged rows of one side of a model, over all tasks."""
        return sum(getattr(one, f"{side}_rows").get(model, 0) for one in self.staged)


class Truth:
    """The modeler's own connection to Postgres.

    The connection holds the advisory lock: while it lives no second modeler can learn.

    Parameters
    ----------
    settings : PostgresSettings

    Raises
    ------
    Unavailable
        If Postgres does not answer within ``postgres_timeout``.
    """

    def __init__(self, settings: PostgresSettings) -> None:
        self._connection = connect(settings)
        with self._connection, self._connection.cursor() as cur:
            cur.execute(_NOTICE_A_LOST_CLIENT)

    def close(self) -> None:
        """Give up the connection, and with it the lock."""
        self._connection.close()

    def serving_or_new_model(self, settings: Mapping[str, Any], data: str) -> int:
        """Number of the serving model; a first model with these settings where there is none."""
        with self._connection, self._connection.cursor() as cur:
            serving = "SELECT model FROM models WHERE status = 'serving'"
            cur.execute(serving)
            if (found := cur.fetchone()) is not None:
                return int(found[0])
            # Of two that start at once only one makes it. Not where there is one already: a
            # modeler that hangs in its commit would keep all others waiting here.
            cur.execute("LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE")
            cur.execute(serving)
            if (found := cur.fetchone()) is not None:
                return int(found[0])
            cur.execute(
                """INSERT INTO models (model, status, settings, data, served_at)
                   SELECT coalesce(max(model), 0) + 1, 'serving', %s, %s, now() FROM models
                   RETURNING model""",
                (json.dumps(dict(settings)), data),
            )
            (model,) = _one(cur)
            make_partitions(cur, model)
            return int(model)

    def take_over(self, patience: float) -> Lease:
        """Become the one modeler, of all models that learn with the stream.

        Parameters
        ----------
        patience : float
            Seconds to wait for an earlier modeler's connection to go: after a ``kill -9`` its last
            statement may still be running.

        Raises
        ------
        Fenced
            If another modeler still holds the models after that.
        """

        @retry(
            retry=retry_if_exception_type(Fenced),
            wait=wait_random_exponential(multiplier=0.05, max=1),
            stop=stop_after_delay(patience),
            reraise=True,
        )
        def lock() -> None:
            with self._connection, self._connection.cursor() as cur:
                cur.execute("SELECT pg_try_advisory_lock(%s, %s)", _ADVISORY_LOCK)
                if not _one(cur)[0]:
                    raise Fenced(
                        "the models are being learned by another modeler: stop that one first"
                    )

        lock()
        with self._connection, self._connection.cursor() as cur:
            models = [model for model, _, _ in lock_learning(cur)]
            cur.execute(
                """UPDATE models SET fence = (SELECT max(fence) + 1 FROM models)
                   WHERE model = ANY(%s) RETURNING status = 'serving', model, fence, settings""",
                (models,),
            )
            taken = sorted(cur.fetchall(), key=lambda row: (not row[0], row[1]))
            if not taken or not taken[0][0]:
                raise RecommenderError("no model serves")
            (_, serving, fence, _), *_ = taken
            as_of = read_as_of(cur, serving)
            for slot in range(SLOTS):
                _empty(cur, slot)
        return Lease(serving, fence, {model: settings for _, model, _, settings in taken}, as_of)

    def empty_slot(self, slot: int) -> None:
        """Make a slot of staging ready for the next micro-batch that uses it."""
        with self._connection, self._connection.cursor() as cur:
            _empty(cur, slot)

    def commit(
        self, lease: Lease, commit: Commit, merged: Callable[[], object] = lambda: None
    ) -> tuple[AsOf, Withdrawn]:
        """Commit a micro-batch: all of it, or nothing.

        Steps, in one transaction; where any fails, or the process dies, none has happened and the
        same records are learned again from the same rows:

        1. lock the learning models and check their fence: a modeler that was replaced stops here,
           and one whose tasks have learned others than there are now;
        2. check that the batch follows the last one committed, so that none is applied twice;
        3. merge the staged rows, history, event ids, dead letters and catalogue entries, and
           check their numbers against what the tasks reported: staging is unlogged, and a task's
           failed attempts leave rows there that must not count; take out what was withdrawn;
        4. write μ, the measurements and the next offset of each partition; call `merged`.

        Returns
        -------
        AsOf
            The models' state, without what was withdrawn, and with the time of the commit.
        Withdrawn
            What was withdrawn of what had been learned.

        Raises
        ------
        Fenced
            If another modeler has taken over.
        ModelsChanged
            If others learn now than those of the lease; nothing was changed.
        EventTwice
            If a rating is staged twice; nothing was changed.
        StagingLost
            If staged rows are missing; nothing was changed.
        psycopg2.Error
            If Postgres does not answer; it is then unknown whether the commit happened.
        """
        started = time.perf_counter()
        with self._connection, self._connection.cursor() as cur:
            _check(lock_learning(cur), lease, commit.as_of.batch)
            _merge(cur, lease, commit)
            withdrawn = _withdraw(cur, lease, commit)
            as_of = withdrawn.without(commit.as_of)
            as_of = replace(as_of, at=_advance(cur, lease, as_of))
            _measure(cur, commit, as_of, withdrawn.ratings, time.perf_counter() - started)
            merged()
        return as_of, withdrawn

    def state(self, model: int) -> AsOf:
        """How far a model has learned, as committed."""
        with self._connection, self._connection.cursor() as cur:
            return read_as_of(cur, model)

    def unpublished_dead_letters(
        self, limit: int, limit_bytes: int
    ) -> list[tuple[str, int, int, str, Any, Any]]:
        """Those not yet sent to their topic: topic, partition, offset, reason, key, value.

        At most `limit`, and no more after those that together have `limit_bytes`.
        """
        with self._connection, self._connection.cursor() as cur:
            cur.execute(
                """WITH waiting AS (
                       SELECT topic, partition, "offset",
                              coalesce(octet_length(value), 0) + coalesce(octet_length(key), 0) size
                       FROM dead_letters WHERE NOT published
                       ORDER BY topic, partition, "offset" LIMIT %s
                   ), placed AS (
                       SELECT *, sum(size) OVER (ORDER BY topic, partition, "offset") - size before
                       FROM waiting
                   )
                   SELECT topic, partition, "offset", reason, key, value
                   FROM dead_letters JOIN placed USING (topic, partition, "offset")
                   WHERE before < %s ORDER BY topic, partition, "offset" """,
                (limit, limit_bytes),
            )
            return cur.fetchall()

    def mark_published(self, letters: Sequence[tuple[str, int, int]]) -> None:
        """Note that dead letters, by topic, partition and offset, are in their topic."""
        with self._connection, self._connection.cursor() as cur:
            cur.executemany(
                """UPDATE dead_letters SET published = true
                   WHERE topic = %s AND partition = %s AND "offset" = %s""",
                list(letters),
            )


def lock_learning(cur: cursor) -> list[tuple[int, int, int]]:
    """Lock the models that learn with the stream, until the end of the transaction.

    Whoever holds this lock is between two micro-batches: no other is committed meanwhile.

    Returns
    -------
    list of tuple
        Number, fence and last micro-batch of each.
    """
    # First of all behind whoever changes which models there are (`storage.models` locks the table):
    # a query that waits for their rows would not see those that were added meanwhile.
    cur.execute("LOCK TABLE models IN ROW SHARE MODE")
    cur.execute(
        """SELECT model, fence, batch FROM models WHERE status IN ('candidate', 'serving')
           ORDER BY model FOR UPDATE"""
    )
    return cur.fetchall()


def _check(learning: Sequence[tuple[int, int, int]], lease: Lease, batch: int) -> None:
    held = [row for row in learning if row[0] in lease.models]
    if any(fence != lease.fence for _, fence, _ in held):
        raise Fenced("another modeler has taken over")
    if [model for model, _, _ in learning] != sorted(lease.models):
        raise ModelsChanged(
            f"models {', '.join(str(model) for model, _, _ in learning)} learn now, "
            f"not {', '.join(map(str, sorted(lease.models)))}"
        )
    for model, _, last in held:
        if last != batch - 1:
            raise Fenced(
                f"model {model} is at micro-batch {last}, not {batch - 1}: "
                "something else has written to it"
            )


def _advance(cur: cursor, lease: Lease, as_of: AsOf) -> float:
    """Write how far all models have learned; the time of that."""
    cur.execute(
        """UPDATE models SET rating_sum = %s, rating_count = %s, batch = %s
           WHERE model = ANY(%s) RETURNING extract(epoch FROM clock_timestamp())""",
        (as_of.rating_sum, as_of.rating_count, as_of.batch, list(lease.models)),
    )
    at = float(_one(cur)[0])
    execute_values(
        cur,
        """INSERT INTO offsets (model, topic, partition, next_offset) VALUES %s
           ON CONFLICT (model, topic, partition)
           DO UPDATE SET next_offset = excluded.next_offset""",
        [
            (model, topic, partition, following)
            for model in lease.models
            for topic, partitions in as_of.offsets.items()
            for partition, following in partitions.items()
        ],
    )
    return at


def _measure(cur: cursor, commit: Commit, as_of: AsOf, withdrawn: int, seconds: float) -> None:
    assert as_of.at is not None
    at = datetime.fromtimestamp(as_of.at, UTC)
    execute_values(
        cur,
        """INSERT INTO micro_batches
           (model, batch, at, ratings, duplicates, dead_letters, squared_error, absolute_error,
            warm_ratings, warm_squared_error, total_ratings, seconds, offsets, withdrawals,
            withdrawn) VALUES %s""",
        [
            (
                model,
                as_of.batch,
                at,
                errors.ratings,
                commit.duplicates,
                commit.total("dead_letters"),
                errors.squared,
                errors.absolute,
                errors.warm_ratings,
                errors.warm_squared,
                as_of.rating_count,
                json.dumps({**commit.seconds, "commit": seconds}),
                as_of.fields()["offsets"],
                commit.total("withdrawals"),
                commit.withdrawn + withdrawn,
            )
            for model, errors in commit.errors.items()
        ],
    )


def _merge(cur: cursor, lease: Lease, commit: Commit) -> None:
    slot = slot_of(commit.as_of.batch)
    by = (lease.fence, [one.task for one in commit.staged])
    for model in lease.models:
        for side in SIDES:
            cur.execute(
                f"""INSERT INTO {side}_rows_{model} (model, id, n, batch, state)
                    SELECT {model}, id, n, %s, state FROM staged_rows_{slot}
                    WHERE fence = %s AND task = ANY(%s) AND model = {model} AND side = '{side}'
                    ORDER BY id  -- the key's own: neighbours in the index, and so in the table
                    ON CONFLICT (model, id) DO UPDATE
                    SET n = excluded.n, batch = excluded.batch, state = excluded.state""",
                (commit.as_of.batch, *by),
            )
            _expect(cur.rowcount, commit.rows(model, side), f"{side} rows of model {model}")
    cur.execute(
        f"""WITH added AS (
                INSERT INTO history SELECT "user", item, rating, rated_at, partition, "offset"
                FROM staged_ratings_{slot} WHERE fence = %s AND task = ANY(%s)
                RETURNING cardinality(item) ratings
            ) SELECT coalesce(sum(ratings), 0) FROM added""",
        by,
    )
    _expect(_one(cur)[0], commit.total("ratings"), "ratings")
    if events := commit.total("events"):
        cur.execute(
            f"""INSERT INTO events SELECT event_id, partition, "offset" FROM (
                    SELECT unnest(event_id) event_id, partition, unnest("offset") "offset"
                    FROM staged_ratings_{slot} WHERE fence = %s AND task = ANY(%s)
                ) staged WHERE event_id IS NOT NULL
                UNION ALL SELECT event_id, partition, "offset" FROM staged_events_{slot}
                WHERE fence = %s AND task = ANY(%s)
                ON CONFLICT DO NOTHING""",
            by + by,
        )
        if cur.rowcount < events and len(commit.staged) > 1:
            raise EventTwice("a second delivery came by another partition than the first")
        _expect(cur.rowcount, events, "event ids")
    if letters := commit.total("dead_letters"):
        cur.execute(
            f"""INSERT INTO dead_letters (topic, partition, "offset", reason, key, value)
                SELECT topic, partition, "offset", reason, key, value
                FROM staged_dead_letters_{slot}
                WHERE fence = %s AND task = ANY(%s)""",
            by,
        )
        _expect(cur.rowcount, letters, "dead letters")
    if items := commit.total("items"):
        cur.execute(
            f"""INSERT INTO items SELECT item, title, attributes::jsonb FROM staged_items_{slot}
                WHERE fence = %s AND task = ANY(%s)
                ON CONFLICT (item) DO UPDATE
                SET title = excluded.title, attributes = excluded.attributes""",
            by,
        )
        _expect(cur.rowcount, items, "catalogue entries")


def _withdraw(cur: cursor, lease: Lease, commit: Commit) -> Withdrawn:
    if not (expected := commit.total("withdrawals")):
        return Withdrawn()
    batch = commit.as_of.batch
    where = Address(slot_of(batch), lease.fence, [one.task for one in commit.staged])
    note(cur, where)
    _expect(cur.rowcount, expected, "withdrawals")
    return withdraw(cur, where, list(lease.models), batch)


def _expect(found: int, expected: int, what: str) -> None:
    if found != expected:
        raise StagingLost(f"{found} of {expected} {what} were found in staging")


_STAGED = ("rows", "ratings", "items", "dead_letters", "withdrawals", "events")


def _empty(cur: cursor, slot: int) -> None:
    # Most are empty already, and emptying costs some milliseconds a table.
    cur.execute(
        """SELECT relname FROM pg_class WHERE relname = ANY(%s) AND pg_relation_size(oid) > 0
           AND relnamespace = current_schema()::regnamespace""",
        ([f"staged_{kind}_{slot}" for kind in _STAGED],),
    )
    if full := [name for (name,) in cur.fetchall()]:
        cur.execute(f"TRUNCATE {', '.join(full)}")


def read_as_of(cur: cursor, model: int) -> AsOf:
    """How far a model has learned, in the cursor's own transaction."""
    cur.execute(
        """SELECT m.batch, m.rating_sum, m.rating_count, extract(epoch FROM b.at)::float8
           FROM models m LEFT JOIN micro_batches b ON b.model = m.model AND b.batch = m.batch
           WHERE m.model = %s""",
        (model,),
    )
    batch, total, count, at = _one(cur)
    cur.execute(
        "SELECT topic, partition::text, next_offset FROM offsets WHERE model = %s", (model,)
    )
    offsets: dict[str, dict[str, int]] = {}
    for topic, partition, following in cur.fetchall():
        offsets.setdefault(topic, {})[partition] = following
    return AsOf(batch, parse_offsets(offsets), total, count, at)


def _one(cur: cursor) -> tuple[Any, ...]:
    found = cur.fetchone()
    if found is None:
        raise RecommenderError("the model has gone from the table models")
    return found
