"""From the answer 202 to a rating to seeing it in a recommendation, under steady load over HTTP.

The whole product runs: stores, ingest, modeler, predictor. Ratings are posted at a steady rate;
some are followed: their sender asks at once for the user's recommendations as of that very record
(`after`), and the time to that answer is what counts. With ``--refit`` a model is trained from all
stored ratings, catches up and is put in service meanwhile.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Coroutine
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import httpx
import numpy as np
import psycopg2
import typer
from rich.console import Console
from rich.progress import track

from benchmarks.report import Json, show
from benchmarks.running import product
from local.stack import Stack
from modeler.verify import VerifySettings, sums_of_all
from recommender.errors import RecommenderError

_POSTS_PER_SECOND = 50  # each with its share of the ratings, as a busy frontend would
_FOLLOWED_PER_SECOND = 5
_REFIT_PATIENCE = 600.0  # seconds; the load goes on until the refit has ended
_LEARNING_PATIENCE = 60.0  # seconds, for what has been posted to be learned


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
    models : set of int
        Those that answered.
    sent : int
        Ratings posted in all.
    refit : dict
        What the refit told of itself.
    """

    seconds: list[float] = field(default_factory=list)
    posting: list[float] = field(default_factory=list)
    late: int = 0
    models: set[int] = field(default_factory=set)
    sent: int = 0
    refit: dict[str, Any] = field(default_factory=dict)


def freshness(
    rate: Annotated[int, typer.Option(min=50, help="Ratings per second.")] = 1000,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds measured.")] = 60,
    warm_up: Annotated[
        int, typer.Option(min=1, help="Seconds of load before: JIT compilers, connections.")
    ] = 60,
    users: Annotated[int, typer.Option(min=1, help="Users.")] = 5_000,
    items: Annotated[int, typer.Option(min=1, help="Items.")] = 5_000,
    refit: Annotated[
        bool, typer.Option(help="Refit and promote a model while it is measured, then verify.")
    ] = False,
    niceness: Annotated[int, typer.Option(min=0, max=19, help="Of the refit.")] = 15,
    as_json: Json = False,
) -> None:
    """From 202 to visible in /recommend, at a steady rate of ratings over HTTP."""
    told: dict[str, Any] = {}
    with product() as stack:
        beside = _refit(stack, niceness) if refit else None
        urls = stack.ingest_url, stack.predictor_url
        try:
            seen, posted, taken = asyncio.run(
                _load(*urls, rate, warm_up, seconds, users, items, beside)
            )
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed  # the others were cancelled for it
        steps = _steps(stack, seconds)
        if refit:
            told = {
                "refit": {
                    **seen.refit,
                    "niceness": niceness,
                    "models_that_answered": sorted(seen.models),
                },
                "verified": _verified(stack, seen.sent),
            }
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
        "micro_batch_milliseconds": steps,
        "warm_up_seconds": warm_up,
        "users": users,
        "items": items,
        **told,
    }
    show("freshness", figures, as_json)


def _steps(stack: Stack, within: int) -> dict[str, float]:
    """Median duration of each step of the serving model's last micro-batches, milliseconds."""
    with closing(psycopg2.connect(stack.postgres.dsn())) as opened, opened.cursor() as cursor:
        cursor.execute(
            """SELECT step, percentile_cont(0.5) WITHIN GROUP (ORDER BY taken::float) * 1000
               FROM micro_batches JOIN models USING (model), jsonb_each_text(seconds)
                    AS one (step, taken)
               WHERE status = 'serving'
                 AND at > (SELECT max(at) FROM micro_batches) - %s * '1 s'::interval
               GROUP BY step ORDER BY 2 DESC""",
            (within,),
        )
        return {step: round(median, 1) for step, median in cursor.fetchall()}


async def _refit(stack: Stack, niceness: int) -> dict[str, Any]:
    """Train a model from all stored ratings and promote it; what that took."""
    async with asyncio.timeout(_LEARNING_PATIENCE):  # on a busy machine nothing may be stored yet
        while not await asyncio.to_thread(_stored, stack):
            await asyncio.sleep(1.0)
    started = time.perf_counter()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modeler", "refit", "--force-promote", "--json"),
        *("--niceness", str(niceness)),
        env={**os.environ, "RECOMMENDER_POSTGRES_DSN": stack.postgres.dsn()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        told, problems = await asyncio.wait_for(child.communicate(), _REFIT_PATIENCE)
    finally:
        if child.returncode is None:
            child.kill()
    if child.returncode:
        raise RecommenderError(f"the refit failed: {problems.decode()[-2000:]}")
    return {**json.loads(told), "seconds_to_promotion": time.perf_counter() - started}


def _stored(stack: Stack) -> bool:
    found = sums_of_all(VerifySettings(postgres_dsn=stack.postgres.dsn()))
    return any(one.ratings_stored for one in found.values())


def _verified(stack: Stack, sent: int) -> dict[str, Any]:
    """Await that all is learned; then every count of every model must be that of the log.

    Raises
    ------
    RecommenderError
        If one differs.
    """
    settings = VerifySettings(
        postgres_dsn=stack.postgres.dsn(),
        kafka_bootstrap_servers=stack.kafka.bootstrap_servers,
    )
    deadline = time.monotonic() + _LEARNING_PATIENCE
    while True:
        found = sums_of_all(settings)
        learned = {one.records_learned for one in found.values()}
        if learned == {sent} or time.monotonic() > deadline:
            break
        time.sleep(1.0)
    if learned != {sent} or not all(one.agree for one in found.values()):
        told = {model: asdict(one) for model, one in found.items()}
        raise RecommenderError(f"{sent} ratings were posted, but counted are {told}")
    return {"models": list(found), "counted_by_each": sent}


async def _load(
    ingest: str,
    predictor: str,
    rate: int,
    warm_up: int,
    seconds: int,
    users: int,
    items: int,
    beside: Coroutine[Any, Any, dict[str, Any]] | None = None,
) -> tuple[Seen, int, float]:
    drawn = random.Random(1)
    seen = Seen()
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(timeout=30, limits=limits) as client, asyncio.TaskGroup() as group:
        begun = time.perf_counter()
        posts = (warm_up + seconds) * _POSTS_PER_SECOND
        every = _POSTS_PER_SECOND // _FOLLOWED_PER_SECOND
        posted, measured_from = 0, begun + warm_up
        refit: asyncio.Task[dict[str, Any]] | None = None
        console = Console(stderr=True)
        for number in track(itertools.count(), "posting", posts, console=console, transient=True):
            if number >= posts and (refit is None or refit.done()):
                break
            due = begun + number / _POSTS_PER_SECOND
            # Also when late: what is under way needs its turn.
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))
            batch = [_rating(drawn, users, items) for _ in range(rate // _POSTS_PER_SECOND)]
            counts = due >= measured_from
            if counts and beside is not None:
                refit, beside = group.create_task(beside), None
            posted += len(batch) if counts else 0
            seen.sent += len(batch)
            follow = counts and number % every == 0
            group.create_task(_post(client, ingest, predictor, batch, seen if follow else None))
        taken = time.perf_counter() - measured_from
    if refit is not None:
        seen.refit = refit.result()
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
    if not shown.json()["items"]:
        raise RecommenderError(f"an empty list for {batch[-1]['user']}: {shown.text[:500]}")
    seen.models.add(shown.json()["model"])
    seen.seconds.append(time.perf_counter() - accepted)
    seen.posting.append(accepted - sent)
