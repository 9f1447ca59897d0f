"""How many ratings a second ingest takes over HTTP: one a request, and as bulk uploads.

Every 202 means that Kafka has acknowledged the rating. So does the answer to an upload.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import numpy as np
import orjson
import typer

from benchmarks.load import CONNECTIONS, Connections, Request, Seconds, compared, start_yardsticks
from benchmarks.report import Json, show
from benchmarks.running import stores
from local.stack import Content
from recommender.errors import RecommenderError
from recommender.generate import RATING_MAX, RATING_MIN

_ASKED = 100_000  # different ratings posted one by one
_PART = 2**20  # bytes sent together


def ingest(
    ratings: Annotated[int, typer.Option(min=1, help="Ratings of each upload.")] = 1_000_000,
    users: Annotated[int, typer.Option(min=1, help="Users.")] = 100_000,
    items: Annotated[int, typer.Option(min=1, help="Items.")] = 20_000,
    seconds: Seconds = 5,
    connections: Connections = CONNECTIONS,
    as_json: Json = False,
) -> None:
    """`POST /ratings` beside a route that does nothing, and `POST /bulk/ratings`."""
    drawn = list(_drawn(max(ratings, _ASKED), users, items))
    asked = [Request("/ratings", line) for line in drawn[:_ASKED]]
    bulk = drawn[:ratings]
    header = b"user,item,rating\n"
    bodies = {
        "application/x-ndjson": b"\n".join(bulk),
        "text/csv": header + b"\n".join(b"%s,%s,%g" % _cells(line) for line in bulk),
    }
    with stores() as (stack, children):
        content = Content("generated: benchmark", RATING_MIN, RATING_MAX)
        stack.launch_service("ingest", content)
        stack.await_service("ingest", stack.ingest_url)
        yardsticks = start_yardsticks(children)
        figures: dict[str, Any] = compared(
            stack.ingest_url, asked, yardsticks, seconds, connections
        )
        uploads = {
            kind: _uploaded(stack.ingest_url, kind, body, len(bulk))
            for kind, body in bodies.items()
        }
    rates = {f"{kind} ratings_per_second": rate for kind, rate in uploads.items()}
    show("ingest", {**figures, **rates, "uploaded": len(bulk)}, as_json)


def _drawn(length: int, users: int, items: int) -> Iterator[bytes]:
    drawn = np.random.default_rng(5)
    columns = (
        drawn.integers(users, size=length).tolist(),
        drawn.integers(items, size=length).tolist(),
        (drawn.integers(1, 11, size=length) / 2).tolist(),
    )
    for user, item, rating in zip(*columns, strict=True):
        yield orjson.dumps({"user": f"u{user}", "item": f"i{item}", "rating": rating})


def _cells(line: bytes) -> tuple[bytes, bytes, float]:
    fields = orjson.loads(line)
    return fields["user"].encode(), fields["item"].encode(), fields["rating"]


def _uploaded(url: str, kind: str, body: bytes, expected: int) -> float:
    """Ratings a second of one upload, after a small one to warm up."""
    with httpx.Client(timeout=300) as client:
        for content, count in ((body[: body.rindex(b"\n", 0, 1_000_000)], 0), (body, expected)):
            begin = time.perf_counter()
            answer = client.post(
                f"{url}/bulk/ratings", content=_parts(content), headers={"Content-Type": kind}
            )
            seconds = time.perf_counter() - begin
            answer.raise_for_status()
            found = answer.json()
            if found["rejected"] or (count and found["accepted"] != count):
                raise RecommenderError(f"{found['accepted']} of {count} ratings were accepted")
    return expected / seconds


def _parts(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), _PART):
        yield body[start : start + _PART]
