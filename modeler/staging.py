"""What one task attempt stages of one micro-batch, and the account of it for the driver."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from modeler.reading import Reading
from modeler.task import Task, attempt
from recommender.initial import Side
from recommender.rows import Rows
from storage.staging import Address, Staged, TaskStore, row_columns, slot_of


class Staging:
    """A task attempt's part of a slot.

    Parameters
    ----------
    task : Task
    store : TaskStore
    batch : int
        Number of the micro-batch.
    """

    def __init__(self, task: Task, store: TaskStore, batch: int) -> None:
        self._fence = task.fence
        self._store = store
        self._slot = slot_of(batch)
        self._attempt = attempt()
        self._rows: dict[Side, dict[int, int]] = {"user": {}, "item": {}}
        self._records: dict[str, int] = {}
        self._withdrawals = 0

    def withdrawals(self, reading: Reading) -> Address | None:
        """Stage the withdrawals that were read; where they are, if there are any."""
        self._withdrawals = self._stage("withdrawals", _columns(reading.withdrawals.records))
        if not self._withdrawals:
            return None
        return Address(self._slot, self._fence, [self._attempt])

    def rows(self, model: int, side: Side, ids: pa.StringArray, rows: Rows) -> None:
        """Stage a model's rows of one side: all that the task has."""
        columns = row_columns(model, side, ids, rows)
        self._rows[side][model] = self._stage("rows", columns)

    def records(self, ratings: pa.Table, reading: Reading) -> None:
        """Stage what was read: the ratings, each user's side by side, and all else."""
        self._records = {
            "ratings": self._store.stage_ratings(self._slot, self._fence, self._attempt, ratings),
            "events": len(ratings)
            - ratings["event_id"].null_count
            + self._stage("events", _columns(reading.withdrawals.events)),
            "items": self._stage("items", _columns(reading.items)),
            "dead_letters": self._stage("dead_letters", _columns(reading.dead.table())),
        }

    @property
    def staged(self) -> Staged:
        """The account of it."""
        return Staged(
            self._attempt,
            user_rows=self._rows["user"],
            item_rows=self._rows["item"],
            withdrawals=self._withdrawals,
            **self._records,
        )

    def _stage(self, table: str, columns: dict[str, Any]) -> int:
        return self._store.stage(table, self._slot, self._fence, self._attempt, columns)


def _columns(table: pa.Table) -> dict[str, Any]:
    return {name: table[name] for name in table.column_names}
