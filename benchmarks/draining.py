"""A modeler that learns what is in the log, watched through what it announces in Redis."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
import redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from local.processes import Child, Children
from local.stack import Content, Stack
from recommender.errors import RecommenderError
from recommender.generate import RATING_MAX, RATING_MIN
from recommender.ratings import encode_columns
from recommender.settings import load as load_settings
from storage.as_of import AsOf
from storage.keys import Keys
from storage.log import Record, load
from storage.settings import RedisSettings

MODEL = 1
"""The first model of a fresh database."""

_WAIT = 5.0  # seconds to block for news; after that it is asked whether the modeler still lives


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


def write_log(
    stack: Stack, chunks: Iterable[Any], shown: Progress | None = None, total: int | None = None
) -> int:
    """Write generated ratings into the log; how many they are."""
    bar = None if shown is None else shown.add_task("writing", total=total)

    def records() -> Iterator[Record]:
        for chunk in chunks:
            yield from encode_columns(
                chunk.users.to_pylist(),
                chunk.items.to_pylist(),
                chunk.ratings.tolist(),
                chunk.timestamps.tolist(),
            )
            if shown is not None and bar is not None:
                shown.advance(bar, len(chunk))

    return load(stack.kafka_settings, stack.kafka_settings.ratings_topic, records())


def start_modeler(
    stack: Stack, children: Children, settings: Mapping[str, object] | None = None
) -> Child:
    """Start ``python -m modeler stream`` with some settings of its own."""
    content = Content("generated: benchmark", RATING_MIN, RATING_MAX)
    return children.start(stack.modeler(content, settings))


def drain(
    stack: Stack, modeler: Child, ratings: int, timeout: float, shown: Progress | None = None
) -> Drained:
    """Follow the change stream until so many ratings have been learned in all.

    It waits on Redis and polls nothing.

    Raises
    ------
    RecommenderError
        If the modeler ends, or takes longer than `timeout` seconds.
    """
    bar = None if shown is None else shown.add_task("learning", total=ratings)
    changes = Keys(load_settings(RedisSettings).redis_prefix, MODEL).changes
    drained = Drained()
    last, deadline = "0", time.monotonic() + timeout
    with redis.Redis.from_url(
        stack.redis.url,
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
                    if shown is not None and bar is not None:
                        shown.update(bar, completed=drained.learned[-1][1])
            drained.peak_memory = max(drained.peak_memory, resident(modeler.pid))
    return drained


def resident(pid: int) -> int:
    """Memory of a process and all its descendants, in bytes."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
    return total


def progress() -> Progress:
    """A progress bar for people, on stderr; none where nobody watches."""
    console = Console(stderr=True)
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
