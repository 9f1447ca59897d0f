"""A backlog drained through the real Kafka, Spark, Postgres and Redis: ratings per second.

The clock runs from the start of the first micro-batch to the moment when the last rating's rows are
committed in Postgres and announced in Redis; starting the stores and Spark, and writing the backlog
into the log, are measured apart.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Annotated, Any

import psycopg2
import typer

from benchmarks.draining import MODEL, Drained, drain, progress, start_modeler, write_log
from benchmarks.report import Json, show
from benchmarks.running import stores
from recommender.errors import RecommenderError
from recommender.generate import world

_CHUNK = 200_000  # ratings made at a time: bounds the memory, whatever the backlog


def stream(
    ratings: Annotated[int, typer.Option(min=1, help="Ratings in the backlog.")] = 2_000_000,
    users: Annotated[int, typer.Option(min=1, help="Users.")] = 100_000,
    items: Annotated[int, typer.Option(min=1, help="Items.")] = 20_000,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the modeler: NAME=VALUE; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the data.")] = 1,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for learning, at most.")] = 1800,
    as_json: Json = False,
) -> None:
    """Drain a generated backlog through Kafka, Spark, Postgres and Redis."""
    given = dict(_setting(text) for text in settings or [])
    with stores() as (stack, children), progress() as shown:
        started = time.perf_counter()
        write_log(stack, world(users, items, seed).chunks(ratings, _CHUNK), shown, ratings)
        seconds_writing = time.perf_counter() - started

        modeler = start_modeler(stack, children, given)
        drained = drain(stack, modeler, ratings, timeout, shown)
        figures = _measurements(stack.postgres.dsn(), ratings, drained)

    show(
        "stream",
        {
            **figures,
            "ratings": ratings,
            "users": users,
            "items": items,
            "settings": given,
            "seconds_writing_log": seconds_writing,
            "modeler_peak_resident_megabytes": drained.peak_memory / 1e6,
        },
        as_json,
    )


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE, such as rank=64")
    return name.strip(), value


def _measurements(dsn: str, ratings: int, drained: Drained) -> dict[str, Any]:
    """Rates and shares, after making sure that everything has been learned exactly once."""
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                """SELECT (SELECT coalesce(sum(n), 0) FROM user_rows WHERE model = %(model)s),
                          (SELECT coalesce(sum(n), 0) FROM item_rows WHERE model = %(model)s),
                          (SELECT count(*) FROM ratings)""",
                {"model": MODEL},
            )
            counts = [int(count) for count in cursor.fetchone() or ()]
            if counts != [ratings] * 3:
                raise RecommenderError(
                    f"of {ratings} ratings, user rows, item rows and the history count {counts}"
                )
            cursor.execute(
                """SELECT extract(epoch FROM at)::float8, ratings, seconds, squared_error
                   FROM micro_batches WHERE model = %s AND ratings > 0 ORDER BY batch""",
                (MODEL,),
            )
            batches = cursor.fetchall()
    finally:
        connection.close()

    steps: dict[str, float] = {}
    for _, _, seconds, _ in batches:
        for step, duration in seconds.items():
            steps[step] = steps.get(step, 0.0) + duration
    # The first commit less its steps: when the first micro-batch was begun.
    begun = batches[0][0] - sum(batches[0][2].values())
    learned = [announcement for announcement in drained.learned if announcement[1]]
    first, last = learned[0], learned[-1]
    wall = last[0] - begun
    pauses = [later[0] - earlier[0] for earlier, later in pairwise(learned)]
    return {
        "ratings_per_second": ratings / wall,
        # Without the first micro-batch, in which workers start and kernels are loaded.
        "ratings_per_second_after_first_batch": (
            (last[1] - first[1]) / (last[0] - first[0]) if len(learned) > 1 else None
        ),
        "seconds": wall,
        "micro_batches": len(batches),
        "longest_seconds_between_announcements": max(pauses, default=None),
        "seconds_from_last_commit_to_redis": last[0] - batches[-1][0],
        "prequential_rmse": (sum(batch[3] for batch in batches) / ratings) ** 0.5,
        "seconds_by_step": steps,
        "share_by_step": {step: duration / wall for step, duration in steps.items()},
    }
