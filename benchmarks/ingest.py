"""How many ratings a second ingest takes over HTTP: one a request, and as bulk uploads.

Every 202 means that Kafka has acknowledged the rating. So does the answer to an upload. What is
posted goes into a topic of its own: a modeler that learns meanwhile learns at its own steady rate.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Annotated, Any

import httpx
import numpy as np
import orjson
import typer

from benchmarks.learning import learning_beside
from benchmarks.load import (
    CONNECTIONS,
    Connections,
    Request,
    Seconds,
    await_live,
    compared,
    start_yardsticks,
)
from benchmarks.report import Json, show
from benchmarks.running import stores
from benchmarks.serving import CONTENT, WhileLearning
from local.processes import Child, Children, Program
from local.stack import Stack
from recommender.errors import RecommenderError
from storage.topics import create_topics

_ASKED = 100_000  # different ratings posted one by one
_PART = 2**20  # bytes sent together
_TOPIC = "posted"


def ingest(
    ratings: Annotated[int, typer.Option(min=1, help="Ratings of each upload.")] = 1_000_000,
    users: Annotated[int, typer.Option(min=1, help="Users.")] = 100_000,
    items: Annotated[int, typer.Option(min=1, help="Items.")] = 20_000,
    learning: WhileLearning = True,
    seconds: Seconds = 5,
    connections: Connections = CONNECTIONS,
    as_json: Json = False,
) -> None:
    """`POST /ratings` beside a no-op route of the server, and `POST /bulk/ratings`."""
    drawn = list(_drawn(max(ratings, _ASKED), users, items))
    asked = [Request("/ratings", line) for line in drawn[:_ASKED]]
    bulk = drawn[:ratings]
    header = b"user,item,rating\n"
    bodies = {
        "application/x-ndjson": b"\n".join(bulk),
        "text/csv": header + b"\n".join(b"%s,%s,%g" % _cells(line) for line in bulk),
    }
    drawing = np.random.default_rng(6)

    def draw(length: int) -> tuple[list[str], list[str], list[float]]:
        return (
            [f"u{user}" for user in drawing.integers(users, size=length)],
            [f"i{item}" for item in drawing.integers(items, size=length)],
            (drawing.integers(1, 11, size=length) / 2).tolist(),
        )

    learned: dict[str, float] = {}
    with stores() as (stack, children):
        _start(stack, children)
        yardsticks = start_yardsticks(children)
        with learning_beside(stack, children, draw) if learning else nullcontext() as modeler:
            if modeler is not None:
                modeler.await_steady()
            with nullcontext() if modeler is None else modeler.told(learned):
                figures: dict[str, Any] = compared(
                    stack.ingest_url, asked, yardsticks, seconds, connections
                )
            uploads = {
                kind: _uploaded(stack.ingest_url, kind, body, len(bulk))
                for kind, body in bodies.items()
            }
    rates = {f"{kind} ratings_per_second": rate for kind, rate in uploads.items()}
    show("ingest", {**figures, **rates, **learned, "uploaded": len(bulk)}, as_json)


def _start(stack: Stack, children: Children) -> Child:
    """Ingest, which writes into a topic that nobody learns from."""
    create_topics(stack.kafka_settings.model_copy(update={"ratings_topic": _TOPIC}))
    child = children.start(
        Program(
            name="ingest",
            command=[sys.executable, "-m", "benchmarks.with_no_op", "ingest"],
            environment={**stack.environment(CONTENT), "RECOMMENDER_RATINGS_TOPIC": _TOPIC},
        )
    )
    await_live(child, stack.ingest_url)
    return child


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
