"""A backlog drained through the real Kafka, Spark, Postgres and Redis: ratings per second.

The clock runs from the start of the first micro-batch to the moment when the last rating's rows are
committed in Postgres and announced in Redis; starting the stores and Spark, and writing the backlog
into the log, are measured apart.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Any

import psutil
import psycopg2
import redis
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.report import Json, show
from benchmarks.running import stores
from local.processes import Child, Children, Program
from local.stack import Content, Stack
from recommender.errors import RecommenderError
from recommender.generate import RATING_MAX, RATING_MIN, world
from recommender.ratings import encode_columns
from recommender.settings import load as load_settings
from storage.as_of import AsOf
from storage.keys import Keys
from storage.log import Record
from storage.log import load as load_log
from storage.settings import RedisSettings

_CHUNK = 200_000  # ratings made at a time: bounds the memory, whatever the backlog
_WAIT = 5.0  # seconds to block for news; after that it is asked whether the modeler still lives
_MODEL = 1  # the first model of a fresh database


@dataclass
class Drained:
    """What was seen while the backlog was learned.

    Attributes
    ----------
    learned : list of (float, int)
        Redis's time (seconds since the epoch) and total ratings learned, one for each announcement.
    peak_memory : int
        Largest resident set of the modeler and its children seen, in bytes.
    """

    learned: list[tuple[float, int]] = field(default_factory=list)
    peak_memory: int = 0


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
    console = Console(stderr=True)
    with stores() as (stack, children), _progress(console) as progress:
        started = time.perf_counter()
        bar = progress.add_task("writing", total=ratings)
        records = _records(world(users, items, seed).chunks(ratings, _CHUNK), progress, bar)
        load_log(stack.kafka_settings, stack.kafka_settings.ratings_topic, records)
        seconds_writing = time.perf_counter() - started

        modeler = _start_modeler(stack, children, given)
        bar = progress.add_task("learning", total=ratings)
        drained = _drain(stack.redis.url, modeler, ratings, timeout, progress, bar)
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
    return name.strip().upper(), value


def _records(chunks: Iterator[Any], progress: Progress, bar: Any) -> Iterator[Record]:
    for chunk in chunks:
        yield from encode_columns(
            chunk.users.to_pylist(),
            chunk.items.to_pylist(),
            chunk.ratings.tolist(),
            chunk.timestamps.tolist(),
        )
        progress.advance(bar, len(chunk))


def _start_modeler(stack: Stack, children: Children, given: dict[str, str]) -> Child:
    content = Content("generated: benchmark", RATING_MIN, RATING_MAX)
    return children.start(
        Program(
            name="modeler",
            command=[sys.executable, "-m", "modeler", "stream"],
            environment={
                **stack.environment(content),
                **{f"RECOMMENDER_{name}": value for name, value in given.items()},
            },
        )
    )


def _drain(
    url: str, modeler: Child, ratings: int, timeout: float, progress: Progress, bar: Any
) -> Drained:
    """Follow the change stream until everything has been learned; waits on Redis, polls nothing."""
    changes = Keys(load_settings(RedisSettings).redis_prefix, _MODEL).changes
    drained = Drained()
    last, deadline = "0", time.monotonic() + timeout
    with redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=2 * _WAIT,  # longer than any wait for news
    ) as client:
        while not drained.learned or drained.learned[-1][1] < ratings:
            if modeler.status is not None:
                raise RecommenderError(f"the modeler has ended:\n{modeler.log_end()}")
            if time.monotonic() > deadline:
                learned = drained.learned[-1][1] if drained.learned else 0
                raise RecommenderError(
                    f"{learned:,} of {ratings:,} ratings learned after {timeout:g} s; the log of "
                    f"the modeler ends:\n{modeler.log_end()}"
                )
            news: Any = client.xread({changes: last}, block=int(_WAIT * 1000))
            for _, entries in news:
                for last, fields in entries:
                    # A stream's ids begin with Redis's own time in milliseconds.
                    at = int(last.split("-")[0]) / 1000
                    drained.learned.append((at, AsOf.from_fields(fields).rating_count))
                    progress.update(bar, completed=drained.learned[-1][1])
            drained.peak_memory = max(drained.peak_memory, _resident(modeler.pid))
    return drained


def _resident(pid: int) -> int:
    total = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
    return total


def _measurements(dsn: str, ratings: int, drained: Drained) -> dict[str, Any]:
    """Rates and shares, after making sure that everything has been learned exactly once."""
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                """SELECT (SELECT coalesce(sum(n), 0) FROM user_rows WHERE model = %(model)s),
                          (SELECT coalesce(sum(n), 0) FROM item_rows WHERE model = %(model)s),
                          (SELECT count(*) FROM ratings)""",
                {"model": _MODEL},
            )
            counts = [int(count) for count in cursor.fetchone() or ()]
            if counts != [ratings] * 3:
                raise RecommenderError(
                    f"of {ratings} ratings, user rows, item rows and the history count {counts}"
                )
            cursor.execute(
                """SELECT extract(epoch FROM at)::float8, ratings, seconds, squared_error
                   FROM micro_batches WHERE model = %s AND ratings > 0 ORDER BY batch""",
                (_MODEL,),
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


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("ratings"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
