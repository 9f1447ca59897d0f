"""The meaning of a rating, and how it is written in the log."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model
from pydantic_core import to_json

from recommender.errors import InvalidRating
from recommender.ids import PRINTABLE, UNPRINTABLE, Id
from recommender.records import parse, validate
from recommender.settings import ScaleSettings
from recommender.validation import refuse

MAX_EVENT_ID = 128
"""Characters of an event id: a UUID with a prefix fits."""

LATEST = 4_102_444_800.0
"""2100-01-01, seconds since the epoch; what lies beyond is most likely milliseconds."""

_EVENT_ID_ALLOWED = f"a string of 1 to {MAX_EVENT_ID} characters without control characters"
_TIMESTAMP_ALLOWED = (
    "seconds since 1970-01-01 UTC (not milliseconds) or an ISO 8601 time, from 1970 to 2099"
)


class Scale(NamedTuple):
    """The scale that ratings are given on, both ends included."""

    low: float
    high: float

    @classmethod
    def of(cls, settings: ScaleSettings) -> Self:
        """The scale that is set."""
        return cls(settings.rating_min, settings.rating_max)


def _event_id(value: object) -> str | None:
    if value is None:
        return None
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= MAX_EVENT_ID
        or UNPRINTABLE.search(value)
    ):
        raise refuse(_EVENT_ID_ALLOWED)
    return value


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
            seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise refuse(_TIMESTAMP_ALLOWED) from None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        # Compared before it is converted: float() of a huge integer overflows.
        seconds = float(value) if 0 <= value < LATEST else math.nan
    else:
        raise refuse(_TIMESTAMP_ALLOWED)
    if not 0 <= seconds < LATEST:
        raise refuse(_TIMESTAMP_ALLOWED)
    return seconds


Timestamp = Annotated[
    float | None,
    BeforeValidator(_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "exclusiveMaximum": LATEST},
                {"type": "string", "format": "date-time"},
                {"type": "null"},
            ]
        }
    ),
]
"""Seconds since the epoch; an ISO 8601 time without a zone is UTC."""

EventId = Annotated[
    str | None,
    BeforeValidator(_event_id),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": MAX_EVENT_ID,
                    "pattern": PRINTABLE,
                },
                {"type": "null"},
            ]
        }
    ),
]
"""A sender's own id of an event."""


class Rating(BaseModel):
    """One user's rating of one item.

    Parameters
    ----------
    user, item : str
        Ids; whole numbers are accepted.
    rating : float
        Finite. `rating_type` adds the limits of a scale.
    timestamp : float, optional
        When the user rated, seconds since the epoch; an ISO 8601 time is accepted.
    event_id : str, optional
        Makes deliveries recognisable: a second rating with the same id has no effect.

    Examples
    --------
    >>> Rating(user=17, item="m1", rating=4, timestamp="1970-01-02T00:00:00Z")
    Rating(user='17', item='m1', rating=4.0, timestamp=86400.0, event_id=None)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: Id = Field(description="The user's id.", examples=["u1"])
    item: Id = Field(description="The item's id.", examples=["318"])
    rating: float = Field(
        description="The rating, on the configured scale.",
        strict=True,
        allow_inf_nan=False,
        examples=[4.5],
    )
    timestamp: Timestamp = Field(
        None,
        description="When: seconds since 1970-01-01 UTC, or ISO 8601; left out: now.",
        examples=[1700000000],
    )
    event_id: EventId = Field(
        None,
        description="Your own id of this event; sent again with the same one it counts once.",
        examples=["8c2f1e4a"],
    )


@lru_cache(maxsize=8)
def rating_type(scale: Scale) -> type[Rating]:
    """Make the model of a rating on a scale; its limits are in its JSON schema, too.

    Parameters
    ----------
    scale : Scale
        Lowest and highest rating.
    """
    return create_model(
        "Rating",
        __base__=Rating,
        __doc__="One user's rating of one item.",
        rating=(
            float,
            Field(
                description=f"The rating, from {scale.low:g} to {scale.high:g}.",
                strict=True,
                allow_inf_nan=False,
                ge=scale.low,
                le=scale.high,
                examples=[scale.high],
            ),
        ),
    )


def encode(rating: Rating) -> bytes:
    """Write a rating as the log keeps it: canonical JSON, UTF-8.

    Examples
    --------
    >>> encode(Rating(user=1, item="m1", rating=4, timestamp=9))
    b'{"user":"1","item":"m1","rating":4.0,"timestamp":9.0}'
    """
    return rating.__pydantic_serializer__.to_json(rating, exclude_none=True)


def encode_columns(
    users: Iterable[str],
    items: Iterable[str],
    ratings: Iterable[float],
    timestamps: Iterable[float],
) -> Iterator[tuple[bytes, bytes]]:
    """Write many ratings that are known to be right, without making objects of them.

    For loaders and load tests; some six times as fast as `encode`.

    Parameters
    ----------
    users, items : iterable of str
        Canonical ids.
    ratings, timestamps : iterable of float
        Finite; timestamps in seconds since the epoch.

    Yields
    ------
    tuple of bytes
        Key and value of one record.
    """
    quoted = lru_cache(maxsize=2**20)(lambda text: to_json(text).decode())
    for user, item, rating, timestamp in zip(users, items, ratings, timestamps, strict=True):
        yield (
            user.encode(),
            f'{{"user":{quoted(user)},"item":{quoted(item)},'
            f'"rating":{float(rating)!r},"timestamp":{float(timestamp)!r}}}'.encode(),
        )


def decode(value: bytes | None, scale: Scale, received: float | None = None) -> Rating:
    """Read a rating from the log, whoever wrote it.

    Parameters
    ----------
    value : bytes or None
        The record's value. Unknown fields are passed over: a newer ingest may write them.
    scale : Scale
        The scale that the rating must be on.
    received : float, optional
        The log's own time of the record, seconds since the epoch; stands in for a missing
        timestamp.

    Raises
    ------
    InvalidRating
        For anything that is not a rating, naming the first wrong field, its value and what is
        allowed.

    Examples
    --------
    >>> decode(b'{"user": "u", "item": 1, "rating": 6, "timestamp": 0}', Scale(0.5, 5.0))
    Traceback (most recent call last):
    recommender.errors.InvalidRating: rating: 6 is not allowed; expected less than or equal to 5
    """
    parsed = parse(value, InvalidRating)
    if parsed.get("timestamp") is None:
        if received is None:
            raise InvalidRating("timestamp", None, "a value: the field is required in the log")
        parsed["timestamp"] = received
    return validate(rating_type(scale), parsed, InvalidRating)
