"""The tables that hold a model's rows: one partition a side and model, made and dropped whole."""

from __future__ import annotations

from psycopg2.extensions import cursor

from recommender.initial import SIDES


def partition(side: str, model: int) -> str:
    """Name of the table that holds a model's rows of one side."""
    return f"{side}_rows_{model:d}"


def make_partitions(cur: cursor, model: int) -> None:
    """Make the tables for a new model's rows.

    They are made apart and then attached: ``CREATE TABLE … PARTITION OF`` would wait for all who
    are reading any model's rows, and let nobody else begin meanwhile.
    """
    for side in SIDES:
        name = partition(side, model)
        # Space is left on each page so that an update stays on it (a HOT update): rows are
        # overwritten all the time and only their key is indexed.
        cur.execute(f"CREATE TABLE {name} (LIKE {side}_rows INCLUDING ALL) WITH (fillfactor = 60)")
        cur.execute(f"ALTER TABLE {name} ALTER state SET STORAGE EXTERNAL")
        cur.execute(f"ALTER TABLE {side}_rows ATTACH PARTITION {name} FOR VALUES IN ({model:d})")


def drop_partitions(cur: cursor, model: int) -> None:
    """Drop them, with all rows; waits for those who are reading rows of any model."""
    for side in SIDES:
        cur.execute(f"DROP TABLE IF EXISTS {partition(side, model)}")
