"""What constant updates leave behind in Postgres: the size of its tables while a model learns.

Ratings come at a steady rate and change rows of the same users and items again and again, so their
number stays and every further page is bloat. In the end each table is written anew
(``VACUUM FULL``), and what it takes then, at the same fill factor, is the yardstick.
"""

from __future__ import annotations

import random
import time
from contextlib import closing
from typing import Annotated, Any

import psycopg2
import typer
from psycopg2.extensions import cursor
from rich.console import Console
from rich.progress import track

from benchmarks.draining import MODEL, drain, start_modeler
from benchmarks.report import Json, show
from benchmarks.running import stores
from recommender.ratings import encode_columns
from storage.log import load

_TABLES = (f"user_rows_{MODEL}", f"item_rows_{MODEL}", "models", "offsets")
_STAGING = "staged_%"
_PARTS = 10  # of the run, after each of which sizes are taken
_DRAINED_WITHIN = 600.0  # seconds, after the last rating


def bloat(
    minutes: Annotated[float, typer.Option(min=0.1, help="Length of the run.")] = 15.0,
    rate: Annotated[int, typer.Option(min=1, help="Ratings a second.")] = 2000,
    users: Annotated[int, typer.Option(min=1, help="Users.")] = 9_000,
    items: Annotated[int, typer.Option(min=1, help="Items.")] = 1_000,
    as_json: Json = False,
) -> None:
    """Size of the tables that micro-batches update, over a long run."""
    drawn = random.Random(1)
    seconds = round(minutes * 60)
    seen: list[dict[str, int]] = []
    with stores() as (stack, children):
        modeler = start_modeler(stack, children)
        with closing(psycopg2.connect(stack.postgres.dsn())) as connection:
            connection.autocommit = True
            cur = connection.cursor()
            started = time.monotonic()
            bar = Console(stderr=True)
            for second in track(range(1, seconds + 1), "rating", console=bar, transient=True):
                load(
                    stack.kafka_settings,
                    stack.kafka_settings.ratings_topic,
                    encode_columns(
                        [f"u{drawn.randrange(users)}" for _ in range(rate)],
                        [f"i{drawn.randrange(items)}" for _ in range(rate)],
                        [drawn.randint(1, 10) / 2 for _ in range(rate)],
                        [0.0] * rate,
                    ),
                )
                time.sleep(max(0.0, started + second - time.monotonic()))
                if second * _PARTS // seconds > len(seen):
                    seen.append(_sizes(cur))
            drain(stack, modeler, seconds * rate, _DRAINED_WITHIN)
            children.stop(modeler)
            cur.execute("SELECT count(*) FROM micro_batches WHERE model = %s", (MODEL,))
            batches = _one(cur)
            hot = _hot(cur)
            end = _sizes(cur)
            for table in _TABLES:
                cur.execute(f"VACUUM FULL {table}")
            anew = _sizes(cur)
    show(
        "bloat",
        {
            "minutes": minutes,
            "ratings_per_second": rate,
            "micro_batches": batches,
            "users": users,
            "items": items,
            "bytes_by_part_of_the_run": {name: [one[name] for one in seen] for name in end},
            "times_the_table_written_anew": {
                name: end[name] / max(anew[name], 1) for name in _TABLES
            },
            "share_of_hot_updates": hot,
        },
        as_json,
    )


def _sizes(cur: cursor) -> dict[str, int]:
    """Bytes of the tables with their indexes, and of all staging."""
    cur.execute(
        "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relname = ANY(%s)",
        (list(_TABLES),),
    )
    sizes: dict[str, int] = dict(cur.fetchall())
    cur.execute(
        """SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
           WHERE relname LIKE %s AND relkind = 'r'""",
        (_STAGING,),
    )
    return {**sizes, "staging": _one(cur)}


def _hot(cur: cursor) -> dict[str, float]:
    """Which share of the updates stayed on their page, and so left the indexes alone."""
    cur.execute(
        """SELECT relname, n_tup_hot_upd::float8 / nullif(n_tup_upd, 0)
           FROM pg_stat_user_tables WHERE relname = ANY(%s)""",
        (list(_TABLES),),
    )
    return dict(cur.fetchall())


def _one(cur: cursor) -> Any:
    found = cur.fetchone()
    assert found is not None
    return found[0]
