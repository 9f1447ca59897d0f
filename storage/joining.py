"""How a model that was trained apart comes to learn with the stream: no rating missing, none twice.

A model in training is known to the registry, and its trainer holds an advisory lock as long as it
lives. It reads the history at one snapshot, then again and again what the history has gained, and
writes its rows, while the modeler goes on. When little is missing it joins: between two
micro-batches it learns the rest, and is from then on one of the models that learn
(`storage.models`). What a trainer that is killed leaves behind is a model in training, which has no
effect, and is retired by the next one that starts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Self

import adbc_driver_postgresql.dbapi as postgres
import pyarrow as pa
from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

from recommender.errors import InvalidData, RecommenderError, Refused, Unavailable
from recommender.initial import Side, initial_rows
from recommender.model_settings import ModelSettings
from recommender.rows import Rows
from storage.as_of import Offsets, parse_offsets
from storage.history import on_last_pages
from storage.models import TRAINING_LOCK, changing, new_model, reading
from storage.partitions import make_partitions, partition
from storage.postgres_client import connect, watchful
from storage.settings import PostgresSettings
from storage.staging import row_columns
from storage.withdrawals import users_since

# Rows that are written at once: some 100 MB at the ranks of a refit.
_ROWS_AT_ONCE = 100_000
# Pages at the end of the history in which its last rating is looked for.
_LAST_PAGES = 2000

# JSON as text: the two drivers would give it in different forms.
_SERVING = """
    SELECT m.model, m.batch, m.rating_count, m.settings::text,
           coalesce((SELECT jsonb_object_agg(topic, next_offsets) FROM (
               SELECT topic, jsonb_object_agg(partition, next_offset) AS next_offsets
               FROM offsets WHERE model = m.model GROUP BY topic) by_topic), '{}')::text
    FROM models m WHERE m.status = 'serving'
"""


@dataclass(frozen=True)
class Place:
    """A moment of the truth: where the serving model was, and where the history ended.

    Attributes
    ----------
    serving, batch : int
    rating_count : int
        Ratings of the history.
    settings : mapping
        Of the serving model.
    offsets : mapping
        Topic to partition to next offset.
    page : int
        A page of the history; what is added after this moment lies on it or behind it, unless
        room of rows that were never committed was used again.
    """

    serving: int
    batch: int
    rating_count: int
    settings: Mapping[str, Any]
    offsets: Offsets
    page: int = 0


class Trainee:
    """A model in training, held by this process; made by `begin`.

    Parameters
    ----------
    settings : PostgresSettings
    ratings_topic : str
    """

    def __init__(self, settings: PostgresSettings, ratings_topic: str) -> None:
        self._dsn = watchful(settings.postgres_dsn)
        self._topic = ratings_topic
        self._connection = connect(settings)  # holds the lock: never closed before the end
        self.model = 0
        self._trained_to: Mapping[int, int] = {}

    @classmethod
    def begin(
        cls, settings: PostgresSettings, ratings_topic: str, model_settings: Mapping[str, Any]
    ) -> Self:
        """Note a new model in the registry.

        Raises
        ------
        Refused
            If no model serves yet.
        Unavailable
            If Postgres does not answer; also in any method.
        """
        made = cls(settings, ratings_topic)
        try:
            with changing(made._connection) as cur:
                cur.execute("SELECT model, data FROM models WHERE status = 'serving'")
                found = cur.fetchone()
                if found is None:
                    raise Refused("there is no serving model yet: start the stream first")
                parent, data = found
                made.model = new_model(cur, model_settings, data, parent, "being trained")
                # Before anybody can see the model, or it would look like an abandoned one.
                cur.execute("SELECT pg_advisory_lock(%s, %s)", (TRAINING_LOCK, made.model))
                make_partitions(cur, made.model)
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        """Give up the connection, and with it the lock."""
        self._connection.close()

    def history(self) -> tuple[Place, pa.Table]:
        """All stored ratings, and of which moment they are.

        Returns
        -------
        place : Place
        ratings : Table
            ``user``, ``item``, ``rating``, ``rated_at``, in the order of the log's partitions; of a
            pair rated again all ratings.

        Raises
        ------
        InvalidData
            If there is none.
        """
        try:
            with (
                closing(postgres.connect(self._dsn)) as opened,
                opened.cursor() as one,
            ):
                # Its first statement: the connection begins a transaction with it.
                one.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                one.execute(_SERVING)
                place = _place(one.fetchone())
                one.execute(
                    f"""SELECT coalesce(split_part(trim('(' FROM max(ctid)::text), ',', 1), '0')
                        FROM history WHERE {on_last_pages(_LAST_PAGES)}"""
                )
                page = int(one.fetchone()[0])
                one.execute(
                    """SELECT "user", item, rating, rated_at FROM ratings
                       ORDER BY partition, "offset" """
                )
                table = one.fetch_arrow_table()
        except postgres.Error as error:
            raise Unavailable("Postgres", str(error).strip()) from error
        if not len(table):
            raise InvalidData("no rating is stored yet; expected at least one to learn from")
        if len(table) != place.rating_count:
            raise _disagree(len(table), place.rating_count)
        self._trained_to = place.offsets.get(self._topic, {})
        return replace(place, page=page), table

    def note(self, settings: Mapping[str, Any], place: Place, metrics: Mapping[str, Any]) -> None:
        """Write what was trained, from which snapshot, with which figures."""
        with reading(self._connection) as cur:
            cur.execute(
                """UPDATE models SET settings = %s, trained_to = %s, metrics = %s, reason = %s
                   WHERE model = %s""",
                (
                    json.dumps(dict(settings)),
                    _as_json(place.offsets),
                    json.dumps(dict(metrics)),
                    "trained; catching up with the stream",
                    self.model,
                ),
            )

    def gained(self, since: Place) -> tuple[Place, pa.Table]:
        """What the history has gained since then: ``user``, ``item``, ``rating``, in log order."""
        with reading(self._connection) as cur:
            cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return self._gained(cur, since)

    def write(self, side: Side, ids: list[str], rows: Rows, batch: int) -> None:
        """Write rows that are not there yet, in bulk."""
        try:
            with (
                closing(postgres.connect(self._dsn, autocommit=True)) as opened,
                opened.cursor() as one,
            ):
                columns = row_columns(self.model, side, pa.array(ids, pa.string()), rows)
                table = pa.table(
                    {
                        **{name: columns[name] for name in ("model", "id", "n")},
                        "batch": pa.repeat(pa.scalar(batch, pa.int64()), len(ids)),
                        "state": columns["state"],
                    }
                )
                for start in range(0, len(table), _ROWS_AT_ONCE):
                    part = table.slice(start, _ROWS_AT_ONCE)
                    one.adbc_ingest(partition(side, self.model), part, mode="append")
        except postgres.Error as error:
            raise Unavailable("Postgres", str(error).strip()) from error

    def rewrite(self, changed: Mapping[Side, tuple[list[str], Rows]], batch: int) -> None:
        """Write rows that have changed, or are new."""
        with reading(self._connection) as cur:
            self._rewrite(cur, changed, batch)

    def join(
        self,
        since: Place,
        learn: Callable[[pa.Table], Mapping[Side, tuple[list[str], Rows]]],
        reason: str,
        written: Callable[[], object] = lambda: None,
    ) -> Place:
        """Become a model that learns, between two micro-batches.

        Steps, in one transaction; where it fails the model stays in training:

        1. nobody commits a micro-batch from here on;
        2. learn what the history has gained, and write the rows that it changed; forget what has
           been withdrawn since the training began;
        3. be where the serving model is, to the bit of its μ; call `written`.

        Parameters
        ----------
        since : Place
            What the model has learned.
        learn : callable
            Learns ratings as `gained` gives them; the rows that have changed since the last write.
        reason : str
            Why it is a candidate.

        Raises
        ------
        Refused
            If the model has been retired meanwhile.
        """
        with changing(self._connection) as cur:
            cur.execute("SELECT status FROM models WHERE model = %s", (self.model,))
            if cur.fetchone() != ("training",):
                raise Refused(f"model {self.model} has been retired while it was being trained")
            place, ratings = self._gained(cur, since)
            self._rewrite(cur, learn(ratings), place.batch)
            self._take_back(cur, place)
            become_candidate(cur, self.model, place, reason)
            written()
        return place

    def _rewrite(
        self, cur: cursor, changed: Mapping[Side, tuple[list[str], Rows]], batch: int
    ) -> None:
        for side, (ids, rows) in changed.items():
            columns = row_columns(self.model, side, pa.array(ids, pa.string()), rows)
            execute_values(
                cur,
                f"""INSERT INTO {side}_rows_{self.model} (model, id, n, batch, state) VALUES %s
                    ON CONFLICT (model, id) DO UPDATE
                    SET n = excluded.n, batch = excluded.batch, state = excluded.state""",
                zip(
                    [self.model] * len(ids),
                    ids,
                    rows.n.tolist(),
                    [batch] * len(ids),
                    columns["state"].to_pylist(),
                    strict=True,
                ),
                page_size=1000,
            )

    def _take_back(self, cur: cursor, place: Place) -> None:
        """Count what the serving model counts, which has lost what was withdrawn meanwhile.

        Who has withdrawn everything and rated again begins anew; which of the steps that row has
        taken came after that is not known any more.
        """
        withdrawn = users_since(cur, self._trained_to)
        if not withdrawn:
            return
        own, users = self.model, list(withdrawn)
        cur.execute(
            f"""DELETE FROM user_rows_{own} r WHERE id = ANY(%s) AND NOT EXISTS (
                    SELECT FROM user_rows_{place.serving} s WHERE s.id = r.id)""",
            (users,),
        )
        cur.execute("SELECT settings FROM models WHERE model = %s", (own,))
        settings = ModelSettings(**cur.fetchall()[0][0])
        cur.execute(
            f"SELECT id FROM user_rows_{own} WHERE id = ANY(%s) ORDER BY id",
            ([user for user, everything in withdrawn.items() if everything],),
        )
        anew = [user for (user,) in cur.fetchall()]
        rows = initial_rows(
            pa.array(anew, pa.string()),
            "user",
            settings.seed,
            settings.format,
            settings.factor_scale,
            settings.ranking_scale,
        )
        self._rewrite(cur, {"user": (anew, rows)}, place.batch)
        for side, concerned in (("user", " AND r.id = ANY(%s)"), ("item", "")):
            cur.execute(
                f"""UPDATE {side}_rows_{own} r SET n = s.n FROM {side}_rows_{place.serving} s
                    WHERE s.id = r.id AND s.n <> r.n{concerned}""",
                (users,) if concerned else (),
            )

    def _gained(self, cur: cursor, since: Place) -> tuple[Place, pa.Table]:
        place = serving_place(cur)
        if users_since(cur, since.offsets.get(self._topic, {})):
            rows = self._ratings(cur, since, 0)  # old ones have gone: their number tells nothing
            return replace(place, page=since.page), _table(rows)
        expected = place.rating_count - since.rating_count
        if not expected and place.batch == since.batch:
            return replace(place, page=since.page), _table([])
        # New ratings lie behind the old ones, as good as always; their number tells.
        rows = self._ratings(cur, since, since.page)
        if len(rows) != expected:
            rows = self._ratings(cur, since, 0)
        if len(rows) != expected:
            raise _disagree(since.rating_count + len(rows), place.rating_count)
        # As many withdrawn as given would leave the count as it was; not the number found.
        page = max((row[3] for row in rows), default=since.page)
        return replace(place, page=page), _table(rows)

    def _ratings(self, cur: cursor, since: Place, page: int) -> list[tuple[Any, ...]]:
        cur.execute(
            """SELECT "user", r.item, r.rating,
                      split_part(trim('(' FROM h.ctid::text), ',', 1)::bigint
               FROM history h, unnest(h.item, h.rating, h."offset") r(item, rating, "offset")
               WHERE h.ctid >= %s::tid
                 AND r."offset" >= coalesce((%s::jsonb ->> partition::text)::bigint, 0)
               ORDER BY partition, r."offset" """,
            (f"({page},0)", json.dumps(since.offsets.get(self._topic, {}))),
        )
        return cur.fetchall()


def serving_place(cur: cursor) -> Place:
    """Where the serving model is; without the history's end.

    Raises
    ------
    Refused
        If no model serves.
    """
    cur.execute(_SERVING)
    return _place(cur.fetchone())


def become_candidate(cur: cursor, model: int, place: Place, reason: str) -> None:
    """Note that a model has learned what the serving one has, in its `changing` transaction."""
    cur.execute(
        """UPDATE models SET status = 'candidate', batch = %s, joined = %s, rating_sum = s.sum,
               rating_count = s.count, reason = %s
           FROM (SELECT rating_sum AS sum, rating_count AS count FROM models WHERE model = %s) s
           WHERE model = %s""",
        (place.batch, place.batch, reason, place.serving, model),
    )
    cur.execute(
        """INSERT INTO offsets SELECT %s, topic, partition, next_offset
           FROM offsets WHERE model = %s""",
        (model, place.serving),
    )
    # Where it begins, and when that was; it has tested nothing of it.
    cur.execute(
        """INSERT INTO micro_batches
           SELECT %s, batch, at, 0, duplicates, dead_letters, 0, 0, 0, 0, total_ratings, '{}',
                  offsets
           FROM micro_batches WHERE model = %s AND batch = %s""",
        (model, place.serving, place.batch),
    )


def _place(found: Sequence[Any] | None) -> Place:
    if found is None:
        raise Refused("there is no serving model yet: start the stream first")
    serving, batch, count, settings, offsets = found
    return Place(serving, batch, count, json.loads(settings), parse_offsets(json.loads(offsets)))


def _table(rows: Sequence[Sequence[Any]]) -> pa.Table:
    users, items, ratings = zip(*(row[:3] for row in rows), strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "user": pa.array(users, pa.string()),
            "item": pa.array(items, pa.string()),
            "rating": pa.array(ratings, pa.float32()),
        }
    )


def _as_json(offsets: Offsets) -> str:
    return json.dumps(
        {topic: {str(p): n for p, n in parts.items()} for topic, parts in offsets.items()}
    )


def _disagree(stored: int, counted: int) -> RecommenderError:
    return Refused(
        f"{stored} ratings were found, but the serving model has counted {counted}: "
        "see python -m modeler verify"
    )
