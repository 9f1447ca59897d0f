"""What every task of a micro-batch has in common: what it is told, and what it reports.

Tasks run in Python workers on executors. What they return is addresses and sums, never rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

from pydantic import TypeAdapter
from pyspark import TaskContext

from recommender.model_settings import ModelSettings
from recommender.rating_head import Errors
from storage.staging import Staged, TaskStore


@dataclass(frozen=True)
class Version:
    """A model that is learned.

    Attributes
    ----------
    model : int
        Its number.
    settings : ModelSettings
        Its own.
    """

    model: int
    settings: ModelSettings


@dataclass(frozen=True)
class Task:
    """What a task needs to know, the same for as long as the models are held.

    Attributes
    ----------
    versions : sequence of Version
        The models to learn, each from the same records; the serving one first.
    fence : int
        By which right.
    dsn : str
        Postgres.
    ratings_topic : str
        All other records are catalogue entries.
    """

    versions: Sequence[Version]
    fence: int
    dsn: str
    ratings_topic: str

    @property
    def serving(self) -> Version:
        """The model that serves; what all have in common, as the scale, is read from it."""
        return self.versions[0]


@dataclass(frozen=True)
class Report:
    """What a task tells the driver.

    Attributes
    ----------
    batch : int
        Number of the micro-batch.
    staged : Staged
        Where the driver finds what the task has staged, and how much it is.
    errors : dict
        Prequential, by model.
    duplicates : int
        Records passed over because their event id had been learned.
    withdrawn : int
        Ratings passed over because they are taken back later in the micro-batch.
    total, count : float, int
        Sum and number of the ratings learned before and in this task.
    next_offsets : dict
        Topic to partition to the offset after the last record that the task has seen.
    seconds : dict
        Duration of each step.
    heavy : dict
        ``user`` and ``item``: how many ratings those ids have that have many.
    """

    batch: int
    staged: Staged
    errors: dict[int, Errors] = field(default_factory=dict)
    duplicates: int = 0
    withdrawn: int = 0
    total: float = 0.0
    count: int = 0
    next_offsets: dict[str, dict[int, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    heavy: dict[str, dict[str, int]] = field(default_factory=dict)

    def encode(self) -> str:
        """As JSON; numbers keep all their bits."""
        return _REPORT.dump_json(self).decode()

    @staticmethod
    def decode(text: str) -> Report:
        """Read what `encode` wrote."""
        return _REPORT.validate_json(text)


_REPORT: TypeAdapter[Report] = TypeAdapter(Report)


@contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the duration of what is done inside to a step's."""
    started = time.perf_counter()
    yield
    seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - started


def added(durations: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The sum of some durations, step by step."""
    total: dict[str, float] = {}
    for seconds in durations:
        for step, duration in seconds.items():
            total[step] = total.get(step, 0.0) + duration
    return total


def attempt() -> int:
    """Number of the running task attempt, unique in a Spark session."""
    context = TaskContext.get()
    return context.taskAttemptId() if context is not None else 0


@cache
def _kept(dsn: str) -> TaskStore:
    return TaskStore(dsn)


@contextmanager
def store(dsn: str) -> Iterator[TaskStore]:
    """The worker's connection to Postgres, kept for its next task; not after an error."""
    kept = _kept(dsn)
    try:
        yield kept
    except Exception:
        # The connection may be the reason; the next attempt opens another.
        kept.close()
        _kept.cache_clear()
        raise
