"""What a micro-batch of 1,000 ratings costs in a model of ten thousand, or of a million rows.

The rows, and the history to replay from, are put into Postgres beforehand. Ratings, new ones and
those replayed, are of as many users and items whatever the size, spread over all of the model: a
micro-batch touches as many rows, which must be found among more.
"""

from __future__ import annotations

import random
from contextlib import closing
from typing import Annotated, Any

import numpy as np
import psycopg2
import typer
from rich.console import Console
from rich.progress import track

from benchmarks.draining import MODEL, drain, start_modeler
from benchmarks.report import Json, show
from benchmarks.running import stores
from benchmarks.steps import medians, totals
from local.processes import Child
from local.stack import Stack
from recommender.model_settings import ModelSettings
from recommender.ratings import encode_columns
from storage.log import load

_TIMEOUT = 600.0  # seconds for one thing to happen; a million rows go to Redis at the start
_ITEMS = 0.1  # of the rows; the others are users
_RATING_USERS, _RATED_ITEMS = 9_000, 1_000
_HISTORY = 300_000  # ratings to replay from
_WARM_UP = 60  # micro-batches, in which Java compiles what it runs


def growth(
    batches: Annotated[int, typer.Option(min=1, help="Micro-batches measured.")] = 60,
    ratings: Annotated[int, typer.Option(min=1, help="Ratings of each.")] = 1000,
    sizes: Annotated[
        list[int] | None, typer.Option("--rows", help="Rows of the model; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Time of a micro-batch in models of several sizes."""
    figures: dict[str, Any] = {}
    for rows in sizes or (10_000, 100_000, 1_000_000):
        figures[str(rows)] = _measured(rows, batches, ratings)
    medians = [size["median_milliseconds"] for size in figures.values()]
    show(
        "growth",
        {
            "batches": batches,
            "ratings": ratings,
            "largest_over_smallest": medians[-1] / medians[0],
            **figures,
        },
        as_json,
    )


def _measured(rows: int, batches: int, ratings: int) -> dict[str, Any]:
    items = int(rows * _ITEMS)
    users = rows - items
    drawn = random.Random(1)
    with stores() as (stack, children):
        modeler = start_modeler(stack, children)
        learned = _learn(stack, modeler, drawn, 1, users, items, 0)
        children.stop(modeler)
        _fill(stack.postgres.dsn(), users, items)
        learned += _HISTORY
        modeler = start_modeler(stack, children)
        seen = range(_WARM_UP + batches)
        for _ in track(seen, f"{rows} rows", console=Console(stderr=True), transient=True):
            learned = _learn(stack, modeler, drawn, ratings, users, items, learned)
        with closing(psycopg2.connect(stack.postgres.dsn())) as connection:
            cursor = connection.cursor()
            cursor.execute(
                """SELECT seconds FROM micro_batches
                   WHERE model = %s AND ratings = %s ORDER BY batch""",
                (MODEL, ratings),
            )
            taken = [row[0] for row in cursor.fetchall()][_WARM_UP:]
    seconds = totals(taken)
    return {
        "median_milliseconds": float(np.median(seconds)) * 1000,
        "p90_milliseconds": float(np.percentile(seconds, 90)) * 1000,
        "median_milliseconds_by_step": {
            step: 1000 * median for step, median in medians(taken).items()
        },
        "batches": len(seconds),
    }


def _learn(
    stack: Stack,
    modeler: Child,
    drawn: random.Random,
    ratings: int,
    users: int,
    items: int,
    learned: int,
) -> int:
    """Send some ratings at once, which Spark takes for one micro-batch, and await them."""
    records = encode_columns(
        [
            f"u{_spread(drawn.randrange(_RATING_USERS), _RATING_USERS, users)}"
            for _ in range(ratings)
        ],
        [f"i{_spread(drawn.randrange(_RATED_ITEMS), _RATED_ITEMS, items)}" for _ in range(ratings)],
        [drawn.randint(1, 10) / 2 for _ in range(ratings)],
        [0.0] * ratings,
    )
    load(stack.kafka_settings, stack.kafka_settings.ratings_topic, records)
    drain(stack, modeler, learned + ratings, _TIMEOUT)
    return learned + ratings


def _spread(number: int, some: int, length: int) -> int:
    """One of some ids that are spread evenly over the `length` ids of a side."""
    return number * max(1, length // some)


def _fill(dsn: str, users: int, items: int) -> None:
    """Give the model so many rows, and ratings to replay."""
    state = b"\x00" * ModelSettings().format.state.itemsize
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        for side, letter, length in (("user", "u", users), ("item", "i", items)):
            cursor.execute(
                f"""INSERT INTO {side}_rows_{MODEL} (model, id, n, batch, state)
                    SELECT {MODEL}, '{letter}' || number, 3, 1, %s
                    FROM generate_series(0, %s) number ON CONFLICT DO NOTHING""",
                (state, length - 1),
            )
        cursor.execute(
            """INSERT INTO history
               SELECT 'u' || number %% %s * %s, ARRAY['i' || number * 7919::bigint %% %s * %s],
                      '{3}', '{0}', 0, ARRAY[-number]
               FROM generate_series(1, %s) number""",
            (
                *(_RATING_USERS, _spread(1, _RATING_USERS, users)),
                *(_RATED_ITEMS, _spread(1, _RATED_ITEMS, items)),
                _HISTORY,
            ),
        )
        cursor.execute(
            "UPDATE models SET rating_count = rating_count + %s, rating_sum = rating_sum + %s",
            (_HISTORY, 3 * _HISTORY),
        )
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        connection.cursor().execute("VACUUM ANALYZE")
