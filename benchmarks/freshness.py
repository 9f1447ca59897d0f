"""From the answer 202 to a rating to seeing it in a recommendation, under steady load over HTTP.

The whole product runs: stores, ingest, modeler, predictor. Ratings are posted at a steady rate;
some are followed: their sender asks at once for the user's recommendations as of that very record
(`after`), and the time to that answer is what counts.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Annotated, Any

import httpx
import numpy as np
import typer
from rich.console import Console
from rich.progress import track

from benchmarks.report import Json, show
from benchmarks.running import product

_POSTS_PER_SECOND = 50  # each with its share of the ratings, as a busy frontend would
_FOLLOWED_PER_SECOND = 5


@dataclass
class Seen:
    """What the followers saw.

    Attributes
    ----------
    seconds : list of float
        From 202 to the recommendation that has learned the record.
    posting : list of float
        From sending the rating to 202.
    late : int
        Recommendations that did not come within the predictor's limit.
    """

    seconds: list[float] = field(default_factory=list)
    posting: list[float] = field(default_factory=list)
    late: int = 0


def freshness(
    rate: Annotated[int, typer.Option(min=50, help="Ratings per second.")] = 1000,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds measured.")] = 60,
    warm_up: Annotated[
        int, typer.Option(min=1, help="Seconds of load before: JIT compilers, connections.")
    ] = 60,
    users: Annotated[int, typer.Option(min=1, help="Users.")] = 5_000,
    items: Annotated[int, typer.Option(min=1, help="Items.")] = 5_000,
    as_json: Json = False,
) -> None:
    """From 202 to visible in /recommend, at a steady rate of ratings over HTTP."""
    with product() as stack:
        seen, posted, taken = asyncio.run(
            _load(stack.ingest_url, stack.predictor_url, rate, warm_up, seconds, users, items)
        )
    percentile = {
        f"p{p}_milliseconds": float(np.percentile(seen.seconds, p)) * 1000 for p in (50, 90, 99)
    }
    figures: dict[str, Any] = {
        **percentile,
        "maximum_milliseconds": max(seen.seconds) * 1000,
        "followed": len(seen.seconds),
        "late": seen.late,
        "post_p50_milliseconds": float(np.percentile(seen.posting, 50)) * 1000,
        "ratings_per_second": posted / taken,
        "warm_up_seconds": warm_up,
        "users": users,
        "items": items,
    }
    show("freshness", figures, as_json)


async def _load(
    ingest: str, predictor: str, rate: int, warm_up: int, seconds: int, users: int, items: int
) -> tuple[Seen, int, float]:
    drawn = random.Random(1)
    seen = Seen()
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(timeout=30, limits=limits) as client, asyncio.TaskGroup() as group:
        begun = time.perf_counter()
        total = warm_up + seconds
        posts = int(total * _POSTS_PER_SECOND)
        every = _POSTS_PER_SECOND // _FOLLOWED_PER_SECOND
        posted, measured_from = 0, begun + warm_up
        for number in track(range(posts), "posting", console=Console(stderr=True), transient=True):
            due = begun + number / _POSTS_PER_SECOND
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            batch = [_rating(drawn, users, items) for _ in range(rate // _POSTS_PER_SECOND)]
            counts = due >= measured_from
            posted += len(batch) if counts else 0
            follow = counts and number % every == 0
            group.create_task(_post(client, ingest, predictor, batch, seen if follow else None))
        taken = time.perf_counter() - measured_from
    return seen, posted, taken


def _rating(drawn: random.Random, users: int, items: int) -> dict[str, Any]:
    return {
        "user": f"u{min(int(drawn.paretovariate(0.8)), users)}",
        "item": f"i{min(int(drawn.paretovariate(0.6)), items)}",
        "rating": drawn.randint(1, 10) / 2,
    }


async def _post(
    client: httpx.AsyncClient,
    ingest: str,
    predictor: str,
    batch: list[dict[str, Any]],
    seen: Seen | None,
) -> None:
    sent = time.perf_counter()
    answer = await client.post(f"{ingest}/ratings", json=batch)
    answer.raise_for_status()
    accepted = time.perf_counter()
    if seen is None:
        return
    record = answer.json()["records"][-1]
    after = f"{record['partition']}:{record['offset']}"
    shown = await client.get(
        f"{predictor}/recommend", params={"user": batch[-1]["user"], "n": 10, "after": after}
    )
    if shown.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        seen.late += 1
        return
    shown.raise_for_status()
    seen.seconds.append(time.perf_counter() - accepted)
    seen.posting.append(accepted - sent)
