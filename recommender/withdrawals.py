"""Taking back what was rated: one pair's ratings, or all of a user's; and how the log keeps it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from recommender.errors import InvalidRating
from recommender.ids import Id
from recommender.ratings import EventId, Timestamp
from recommender.records import parse, validate
from recommender.validation import refuse


def _true(value: object) -> bool:
    if value is not True:
        raise refuse("true; for a rating leave the field out")
    return True


class Withdrawal(BaseModel):
    """A user takes back the ratings of an item, or everything.

    It says something of what is before it in the log only: a rating after it is one as any other.

    Parameters
    ----------
    user : str
    item : str, optional
        Left out: all ratings of the user, and whatever else has been learned of that user.
    timestamp : float
        When, seconds since the epoch.
    event_id : str, optional
        A second delivery with the same one has no effect.

    Examples
    --------
    >>> Withdrawal(user=17, item="m1", timestamp=9)
    Withdrawal(user='17', item='m1', timestamp=9.0, event_id=None, deleted=True)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: Id
    item: Id | None = None
    timestamp: Timestamp
    event_id: EventId = None
    deleted: Annotated[Literal[True], BeforeValidator(_true)] = True


def encode(withdrawal: Withdrawal) -> bytes:
    """Write a withdrawal as the log keeps it, among the ratings, under the user's key.

    Examples
    --------
    >>> encode(Withdrawal(user=1, item="m1", timestamp=9))
    b'{"user":"1","item":"m1","timestamp":9.0,"deleted":true}'
    >>> encode(Withdrawal(user=1, timestamp=9))
    b'{"user":"1","timestamp":9.0,"deleted":true}'
    """
    return withdrawal.model_dump_json(exclude_none=True).encode()


def decode(value: bytes | None, received: float) -> Withdrawal | None:
    """Read a withdrawal from the log; None where the record is a rating, or should be one.

    What has a rating is one, whatever else it has.

    Parameters
    ----------
    value : bytes or None
        The record's value. Unknown fields are passed over.
    received : float
        The log's own time of the record; stands in for a missing timestamp.

    Raises
    ------
    InvalidRating
        If the record has the field ``deleted``, no rating, and is no withdrawal, naming the first
        wrong field; or if it is no JSON object.

    Examples
    --------
    >>> decode(b'{"user": "u", "deleted": true, "timestamp": 1}', received=2.0)
    Withdrawal(user='u', item=None, timestamp=1.0, event_id=None, deleted=True)
    >>> decode(b'{"user": "u", "item": "i", "rating": 4, "timestamp": 1}', received=2.0)
    """
    parsed = parse(value, InvalidRating)
    if parsed.get("rating") is not None or parsed.get("deleted") in (None, False):
        return None
    if parsed.get("timestamp") is None:
        parsed["timestamp"] = received
    return validate(Withdrawal, parsed, InvalidRating)
