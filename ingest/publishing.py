"""From checked records to the answer 202: nothing is answered that Kafka has not acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from time import perf_counter
from typing import Protocol

import orjson
from prometheus_client import Counter, Histogram
from pydantic import BaseModel, Field
from starlette.responses import Response

from recommender.errors import Unavailable
from storage.log import Position, Record

RECORDS = Counter(
    "ingest_records", "Records, by topic and what became of them.", ["topic", "outcome"]
)
ACKNOWLEDGED = Histogram(
    "ingest_acknowledge_seconds",
    "Seconds from handing records to the Kafka client to the acknowledgement of the last of them.",
    ["topic"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


class Place(BaseModel):
    """Where a record is in the log."""

    topic: str = Field(examples=["ratings"])
    partition: int = Field(ge=0, examples=[3])
    offset: int = Field(ge=0, examples=[1042])


class Accepted(BaseModel):
    """Records that are in the log."""

    accepted: int = Field(description="Number of records.", examples=[1])
    records: list[Place] = Field(description="Where each record is, in the order of the request.")


class Log(Protocol):
    """What ingest needs of the log; `storage.log.RatingLog` is one."""

    async def publish(self, topic: str, records: Sequence[Record]) -> list[Position]:
        """Write records; their positions once all are acknowledged, or `Unavailable`."""


@cache
def _counted(topic: str) -> tuple[Histogram, Counter]:
    """What counts a topic's records; `labels` takes a lock and builds strings each time."""
    return ACKNOWLEDGED.labels(topic), RECORDS.labels(topic, "accepted")


async def publish(log: Log, topic: str, records: Sequence[Record]) -> Response:
    """Publish records and answer 202 with their places.

    Parameters
    ----------
    log : Log
    topic : str
    records : sequence of (bytes, bytes or None)
        Key and value of each.

    Raises
    ------
    Unavailable
        If Kafka did not acknowledge all of them; the service answers 503.
    """
    begin = perf_counter()
    acknowledged, accepted = _counted(topic)
    try:
        places = await log.publish(topic, records)
    except Unavailable:
        RECORDS.labels(topic, "unavailable").inc(len(records))
        raise
    acknowledged.observe(perf_counter() - begin)
    accepted.inc(len(places))
    content = {
        "accepted": len(places),
        "records": [
            {"topic": place.topic, "partition": place.partition, "offset": place.offset}
            for place in places
        ],
    }
    return Response(
        orjson.dumps(content), status_code=HTTPStatus.ACCEPTED, media_type="application/json"
    )
