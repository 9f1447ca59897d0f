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


class Reason(Answer):
    """One of the visitor's ratings that a score comes from."""

    item: str
    title: str | None = None
    rating: float | None = None
    part: str = ""
    contribution: float = 0.0
    share: float = 0.0


class Explanation(Answer):
    """What the score of a recommendation adds up from."""

    parts: dict[str, float] = Field(default_factory=dict)
    why: list[Reason] = Field(default_factory=list)


class RatingParts(Answer):
    """What a predicted rating adds up from: μ, you, the film, taste."""

    mean: float
    user_bias: float
    item_bias: float
    taste: float


class Item(Answer):
    """One entry of a list; the meaning of `score` depends on the list."""

    item: str
    score: float
    title: str | None = None
    source: str = ""
    explanation: Explanation | None = None
    parts: RatingParts | None = None


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
    """The model that is serving; `lag`: records in the log that wait to be learned, if known."""

    model: int | None = None
    as_of: AsOf = AsOf()
    status: str = ""
    data: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    counts: Counts = Counts()
    lag: int | None = None
    series: list[Measurement] = Field(default_factory=list)


class Film(Answer):
    """What is known of one item."""

    item: str
    title: str | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)
    available: bool = True
    ratings: int = 0
    score: float = 0.0

    @property
    def genres(self) -> list[str]:
        """Its genres, as far as the catalogue's owner wrote them as a list."""
        genres = self.attributes.get("genres")
        return [str(genre) for genre in genres] if isinstance(genres, list) else []


class RatingCount(Answer):
    """How many users gave a rating."""

    rating: float
    users: int


class FilmRatings(Answer):
    """How an item is rated; `share`: of all ratings, the random part looked through."""

    share: float = 1.0
    counts: list[RatingCount] = Field(default_factory=list)


class Person(Answer):
    """One user of a list; the meaning of `score` depends on the list."""

    user: str
    score: float = 0.0
    ratings: int = 0


class People(Answer):
    """A list of users."""

    users: list[Person] = Field(default_factory=list)


class Coordinates(Answer):
    """A place on the map."""

    x: float
    y: float


class Place(Coordinates):
    """An item on the map."""

    item: str
    title: str | None = None
    genres: list[str] = Field(default_factory=list)
    ratings: int = 0


class FilmMap(Answer):
    """The most rated items in a plane, and the visitor where something is known of them."""

    model: int | None = None
    as_of: AsOf = AsOf()
    explained: list[float] = Field(default_factory=list)
    items: list[Place] = Field(default_factory=list)
    user: Coordinates | None = None


class StreamedBatch(Answer):
    """A micro-batch as it was measured."""

    batch: int
    at: datetime
    ratings: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    seconds: dict[str, float] = Field(default_factory=dict)


class Freshness(Answer):
    """Seconds from a rating's own time to the commit that learned it."""

    ratings: int = 0
    p50: float | None = None
    p99: float | None = None


class Stream(Answer):
    """How learning goes."""

    dead_letters: int = 0
    freshness: Freshness = Freshness()
    batches: list[StreamedBatch] = Field(default_factory=list)


class Prequential(Answer):
    """Errors of a version and of the serving one on the same late ratings."""

    ratings: int = 0
    rmse: float | None = None
    rmse_serving: float | None = None


class Gate(Answer):
    """Whether a version may serve, and why."""

    state: str = "none"
    reason: str = ""


class Version(Answer):
    """One version of the model."""

    model: int
    status: str = ""
    parent: int | None = None
    created_at: datetime | None = None
    ratings: int = 0
    settings: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)
    prequential: Prequential = Prequential()
    gate: Gate = Gate()
    reason: str = ""


class Versions(Answer):
    """All versions, the latest first."""

    models: list[Version] = Field(default_factory=list)


class CurvePoint(Answer):
    """A place on a contestant's curve: after so many ratings of the race, its faded RMSE."""

    ratings: int
    rmse: float


class Contestant(Answer):
    """A model in a race, with what contestants may differ in."""

    model: int
    status: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    ratings: int = 0
    rmse: float | None = None
    curve: list[CurvePoint] = Field(default_factory=list)


class Out(Answer):
    """A model that was taken out of a race, and why."""

    model: int
    reason: str = ""
    curve: list[CurvePoint] = Field(default_factory=list)


class RaceCost(Answer):
    """What a race costs: contestants at most, and the copies' share of all that is learned."""

    width: int | None = None
    share: float = 0.0


class Race(Answer):
    """The race that is going on, or the last one; contestants the best first."""

    race: int | None = None
    state: str = "none"
    reason: str = ""
    contestants: list[Contestant] = Field(default_factory=list)
    out: list[Out] = Field(default_factory=list)
    cost: RaceCost = RaceCost()
