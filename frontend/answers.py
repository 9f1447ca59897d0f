"""What the two services answer, as types. Fields this frontend does not show are ignored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """Root of the answers."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Record(Answer):
    """Where in the log a rating stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


class Accepted(Answer):
    """Ingest's answer: the ratings are in the log."""

    accepted: int
    records: list[Record]


class AsOf(Answer):
    """How far into the log a model has learned.

    Examples
    --------
    >>> AsOf(batch=3, offsets={"0": 10}).covers(Record(topic="ratings", partition=0, offset=9))
    True
    >>> AsOf(batch=3, offsets={"0": 10}).covers(Record(topic="ratings", partition=0, offset=10))
    False
    """

    batch: int = 0
    offsets: dict[str, int] = Field(default_factory=dict)
    at: datetime | None = None

    def covers(self, record: Record) -> bool:
        """Whether that record has been learned: its offset is below the next one to learn."""
        return record.offset < self.offsets.get(str(record.partition), 0)

    def age(self, now: float) -> float | None:
        """Seconds between the commit and `now` (seconds since the epoch); None when never."""
        if self.at is None:
            return None
        at = self.at if self.at.tzinfo else self.at.replace(tzinfo=UTC)
        return max(0.0, now - at.timestamp())


class Item(Answer):
    """One entry of a list; the meaning of `score` depends on the list."""

    item: str
    score: float
    title: str | None = None
    source: str = ""


class ItemList(Answer):
    """A list of items and the state of the model that it comes from.

    `stale`: the predictor's stores are away and it answers with the last that it knows.
    """

    model: int | None = None
    as_of: AsOf = AsOf()
    stale: bool = False
    source: str = ""
    items: list[Item] = Field(default_factory=list)


class Measurement(Answer):
    """One micro-batch, each rating tested before it was learned."""

    batch: int
    at: datetime
    ratings: int
    total_ratings: int
    rmse: float | None = None
    mae: float | None = None


class Counts(Answer):
    """How much the model knows."""

    users: int = 0
    items: int = 0
    ratings: int = 0


class Model(Answer):
    """The model that is serving."""

    model: int | None = None
    as_of: AsOf = AsOf()
    status: str = ""
    data: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    counts: Counts = Counts()
    series: list[Measurement] = Field(default_factory=list)
