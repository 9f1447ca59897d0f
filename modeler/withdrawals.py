"""The withdrawals among a micro-batch's records, and which of its ratings they take back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

WITHDRAWALS = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("user", pa.string()),
        ("item", pa.string()),
        ("withdrawn_at", pa.float64()),
    ]
)
EVENTS = pa.schema([("event_id", pa.string()), ("partition", pa.int32()), ("offset", pa.int64())])


@dataclass(frozen=True)
class Withdrawals:
    """What users have taken back in a micro-batch.

    Attributes
    ----------
    records : Table
        Of schema `WITHDRAWALS`; without ``item``: all of the user's ratings.
    withdrawn : int
        Ratings of the micro-batch itself that they take back: these are never learned.
    events : Table
        Of schema `EVENTS`: event ids of both, which count as learned nevertheless.
    """

    records: pa.Table = field(default_factory=WITHDRAWALS.empty_table)
    withdrawn: int = 0
    events: pa.Table = field(default_factory=EVENTS.empty_table)


def split(records: pa.Table) -> tuple[pa.Table, Withdrawals]:
    """Part the ratings to be learned from the withdrawals.

    Parameters
    ----------
    records : Table
        Of schema `modeler.records.RATINGS`, in order of partition and offset.

    Returns
    -------
    ratings : Table
        Those that no later record of the same partition takes back, in the same order.
    withdrawals : Withdrawals
    """
    if not records["rating"].null_count:
        return records, Withdrawals()
    is_withdrawal = pc.is_null(records["rating"])
    asked = records.filter(is_withdrawal)
    last: dict[tuple[int, str, str | None], int] = {}
    for one in asked.select(["partition", "user", "item", "offset"]).to_pylist():
        last[one["partition"], one["user"], one["item"]] = one["offset"]

    # Only ratings of these users need a closer look, and they are few.
    concerned = pc.and_(
        pc.invert(is_withdrawal), pc.is_in(records["user"], pc.unique(asked["user"]))
    )
    places = np.flatnonzero(concerned.to_numpy())
    undone = np.zeros(len(records), bool)
    columns = records.select(["partition", "user", "item", "offset"]).take(pa.array(places))
    for place, one in zip(places, columns.to_pylist(), strict=True):
        partition, user = one["partition"], one["user"]
        until = max(last.get((partition, user, item), -1) for item in (one["item"], None))
        undone[place] = one["offset"] < until
    without = pc.or_(is_withdrawal, pa.array(undone))
    events = records.filter(pc.and_(without, pc.is_valid(records["event_id"])))
    return records.filter(pc.invert(without)), Withdrawals(
        asked.select(["partition", "offset", "user", "item", "rated_at"]).rename_columns(
            WITHDRAWALS.names
        ),
        int(undone.sum()),
        events.select(EVENTS.names),
    )
