"""What a task does with the truth, in bulk: read the rows it will learn, stage what it learned.

Nothing written here counts before the driver's transaction (`Truth.commit`) merges it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import adbc_driver_postgresql.dbapi as postgres
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from psycopg2.extensions import QuotedString

from recommender.initial import Side
from recommender.rows import RowFormat, Rows
from storage import history
from storage.as_of import AsOf, parse_offsets
from storage.postgres_client import watchful

SLOTS = 4
"""Slots of staging (storage/migrations): consecutive micro-batches use them in turn."""


def slot_of(batch: int) -> int:
    """The slot that a micro-batch is staged in."""
    return batch % SLOTS


# Of a page read out of order, beside one in order. Rows in use are in memory, or on disks without
# heads; by Postgres' own 4 a live micro-batch reads a model of 100,000 rows whole for its thousand.
_PAGE_COST = 1.1

_NO_RATINGS = pa.table(
    {
        "user": pa.array([], pa.string()),
        "item": pa.array([], pa.string()),
        "rating": pa.array([], pa.float32()),
    }
)


@dataclass(frozen=True)
class Staged:
    """What one task has staged: its address in the slot, and how many rows of each kind.

    Attributes
    ----------
    task : int
        Number of the task attempt, unique for one holder of the model.
    user_rows, item_rows : mapping
        By model.
    ratings, events, items, dead_letters, withdrawals : int
    """

    task: int
    user_rows: Mapping[int, int] = field(default_factory=dict)
    item_rows: Mapping[int, int] = field(default_factory=dict)
    ratings: int = 0
    events: int = 0
    items: int = 0
    dead_letters: int = 0
    withdrawals: int = 0


@dataclass(frozen=True)
class Address:
    """Where a micro-batch is staged, and by which task attempts of which holder of the model."""

    slot: int
    fence: int
    tasks: Sequence[int]

    @property
    def condition(self) -> str:
        """What holds for its rows, in SQL."""
        # Of no task there is no row.
        tasks = ",".join(f"{task:d}" for task in self.tasks) or "NULL"
        return f"fence = {self.fence:d} AND task IN ({tasks})"


class TaskStore:
    """A task's connection to Postgres; kept by its worker process for the next task.

    Parameters
    ----------
    dsn : str
        libpq connection string.
    """

    def __init__(self, dsn: str) -> None:
        self._connection = postgres.connect(watchful(dsn), autocommit=True)
        with self._connection.cursor() as cursor:
            cursor.execute(f"SET random_page_cost = {_PAGE_COST}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def as_of(self, model: int) -> AsOf:
        """How far a model has learned, as committed."""
        found = self._query(
            f"""SELECT batch, rating_sum, rating_count,
                       (SELECT coalesce(jsonb_object_agg(topic, next_offsets), '{{}}')::text
                        FROM (SELECT topic, jsonb_object_agg(partition, next_offset) next_offsets
                              FROM offsets WHERE model = {model:d} GROUP BY topic) by_topic) offsets
                FROM models WHERE model = {model:d}"""
        ).to_pylist()[0]
        return AsOf(**{**found, "offsets": parse_offsets(json.loads(found["offsets"]))})

    def rows(
        self,
        model: int,
        side: Side,
        ids: pa.StringArray,
        form: RowFormat,
        withdrawals: Address | None = None,
    ) -> tuple[npt.NDArray[np.intp], Rows]:
        """The rows of those ids that the model knows.

        Parameters
        ----------
        withdrawals : Address, optional
            Where withdrawals are staged: users who withdraw everything are not known any more.

        Returns
        -------
        positions : (found,) intp
            Where each row's id stands in `ids`.
        rows : Rows
        """
        query = f"""SELECT t.position::int4, r.n, r.state
                    FROM unnest({_literal(ids)}) WITH ORDINALITY t(id, position)
                    JOIN {side}_rows_{model} r ON r.model = {model} AND r.id = t.id COLLATE "C" """
        if withdrawals is not None and side == "user":
            query += f""" WHERE NOT EXISTS (
                SELECT FROM staged_withdrawals_{withdrawals.slot} w
                WHERE {withdrawals.condition} AND w."user" = r.id AND w.item IS NULL)"""
        found = self._query(query)
        return found["position"].to_numpy() - 1, rows_of(found, form)

    def known_events(
        self, event_ids: pa.StringArray, on_its_way: Address | None = None
    ) -> pa.StringArray:
        """Those of the event ids that have been learned, or are staged at that address.

        In one statement: a micro-batch whose commit ends meanwhile is seen in one of the places.
        """
        wanted = f'event_id = ANY({_literal(event_ids)} COLLATE "C")'
        query = f"SELECT event_id FROM events WHERE {wanted}"
        if on_its_way is not None:
            query += f""" UNION ALL SELECT event_id FROM (
                              SELECT unnest(event_id) event_id
                              FROM staged_ratings_{on_its_way.slot} WHERE {on_its_way.condition}
                          ) staged WHERE {wanted}"""
        return self._query(query)["event_id"].combine_chunks()

    def sample_history(
        self, count: int, random: np.random.Generator, withdrawals: Address | None = None
    ) -> pa.Table:
        """Ratings learned earlier, drawn with nearly equal chances: ``user``, ``item``, ``rating``.

        By their places in the table's pages (`history.places`), so the cost depends on `count`
        alone, not on how many there are; it may be somewhat fewer.

        Parameters
        ----------
        count : int
        random : Generator
        withdrawals : Address, optional
            Where withdrawals are staged: what they take back is passed over as well.

        Returns
        -------
        Table
            At most `count` rows, in random order.
        """
        size = self._query(
            f"""SELECT pg_relation_size('history') / {history.PAGE} AS pages,
                       {history.STORED} AS stored"""
        )
        drawn = history.places(size["stored"][0].as_py(), size["pages"][0].as_py(), count, random)
        if not drawn:
            return _NO_RATINGS
        # In an array literal a tid's own comma wants quotes.
        literal = ",".join(f'"{place}"' for place in drawn)
        query = f"""SELECT * FROM (
                        SELECT "user", unnest(item) item, unnest(rating) rating
                        FROM history WHERE ctid = ANY('{{{literal}}}'::tid[])
                    ) r"""
        if withdrawals is not None:
            query += f""" WHERE NOT EXISTS (
                SELECT FROM staged_withdrawals_{withdrawals.slot} w
                WHERE {withdrawals.condition} AND w."user" = r."user"
                  AND coalesce(w.item, r.item) = r.item)"""
        found = self._query(query)
        return found.take(random.permutation(len(found))[:count])

    def staged_rows(self, where: Address, model: int) -> pa.Table:
        """A model's rows staged there: ``side``, ``id``, ``n``, ``state``."""
        return self._query(
            f"""SELECT side, id, n, state FROM staged_rows_{where.slot}
                WHERE {where.condition} AND model = {model:d}"""
        )

    def staged_ratings(self, where: Address) -> pa.Table:
        """The ratings staged there, as `history.listed` puts them into rows."""
        return self._query(
            f"""SELECT "user", item, rating, partition, "offset"
                FROM staged_ratings_{where.slot} WHERE {where.condition}"""
        )

    def staged_items(self, where: Address) -> pa.Table:
        """The ids of the catalogue entries staged there: ``item``."""
        return self._query(f"SELECT item FROM staged_items_{where.slot} WHERE {where.condition}")

    def stage_ratings(self, slot: int, fence: int, task: int, ratings: pa.Table) -> int:
        """Append ratings to the slot, as `history.listed` wants them; their number."""
        self.stage("ratings", slot, fence, task, history.listed(ratings))
        return len(ratings)

    def stage(self, table: str, slot: int, fence: int, task: int, columns: dict[str, Any]) -> int:
        """Append rows to one of the slot's tables.

        Parameters
        ----------
        table : {'rows', 'items', 'dead_letters', 'withdrawals', 'events'}
        columns : dict
            Arrow arrays by column name, all of one length; ``fence`` and ``task`` are added.

        Returns
        -------
        int
            The number of rows.
        """
        length = len(next(iter(columns.values())))
        if length:
            data = pa.table(
                {
                    "fence": pa.repeat(pa.scalar(fence, pa.int64()), length),
                    "task": pa.repeat(pa.scalar(task, pa.int64()), length),
                    **columns,
                }
            )
            with self._connection.cursor() as cursor:
                cursor.adbc_ingest(f"staged_{table}_{slot}", data, mode="append")
        return length

    def _query(self, query: str) -> pa.Table:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetch_arrow_table()


def row_columns(model: int, side: Side, ids: pa.StringArray, rows: Rows) -> dict[str, Any]:
    """The columns of ``staged_rows`` for some rows."""
    form = rows.format
    packed = rows.pack()
    state = np.ascontiguousarray(packed[list(form.state.names or ())]).astype(form.state)
    return {
        "model": pa.repeat(pa.scalar(model, pa.int32()), len(ids)),
        "side": pa.repeat(pa.scalar(side), len(ids)),
        "id": ids,
        "n": pa.array(rows.n),
        "state": pa.Array.from_buffers(
            pa.binary(form.state.itemsize), len(ids), [None, pa.py_buffer(state.tobytes())]
        ).cast(pa.binary()),
    }


def rows_of(table: pa.Table, form: RowFormat) -> Rows:
    """Rows from the columns ``n`` and ``state`` of a table read from Postgres.

    Raises
    ------
    ValueError
        If a stored state is not of this format's length.
    """
    packed = form.empty(len(table))
    if len(table):
        states = b"".join(table["state"].to_pylist())
        unpacked = np.frombuffer(states, dtype=form.state)
        if len(unpacked) != len(table):
            raise ValueError(f"stored rows are not of rank {form.rank} and {form.ranking_rank}")
        packed["n"] = table["n"].to_numpy()
        for name in form.state.names or ():
            packed[name] = unpacked[name]
    return Rows.unpack(packed)


def _literal(texts: pa.StringArray) -> str:
    """The texts as an SQL literal of type ``text[]``.

    The Arrow driver binds no arrays. In an array literal only a quote and a backslash need care,
    and the whole is quoted by libpq's own rules.
    """
    inner = ",".join(
        '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts.to_pylist()
    )
    quoted = QuotedString("{" + inner + "}")
    quoted.encoding = "utf-8"
    return quoted.getquoted().decode() + "::text[]"
