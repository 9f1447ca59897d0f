"""Builds the predictor from its settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from predictor.follower import Follower
from predictor.head_start import HeadStart
from predictor.kept import KeptUsers
from predictor.neighbours import Neighbours
from predictor.parts import Predictor
from predictor.report import Reporter
from predictor.routes import inside, items, model, models, predict, recommend, users
from predictor.settings import PredictorSettings
from predictor.shared_follower import SharedFollower
from predictor.truth import truth_reader
from predictor.users import UserReader
from service.app import create_app
from storage.following import ProjectionReader
from storage.redis_client import address

ATTACHED_WITHIN = 5.0
"""Seconds for which a worker process that is started beside others takes no requests until it has
their item side: a new one among old ones has it at once, and none answers 503 in the meantime."""

DESCRIPTION = """
Predictions and recommendations from a model that learns from every rating as it happens.

Every answer names the `model` and how far into the log of ratings it had learned (`as_of`).
A person or an item that the model does not know yet gets an answer too; `source` says from what.
"""


def build(
    settings: PredictorSettings,
    directory: Path | None = None,
    head_start: HeadStart | None = None,
) -> FastAPI:
    """Wire the predictor; its stores are opened when it starts, and may come later than it.

    Parameters
    ----------
    settings : PredictorSettings
    directory : Path, optional
        Where the processes meet that share one item side; None: this one has its own.
    head_start : HeadStart, optional
        What is being read already.
    """
    projection = ProjectionReader(address(settings), settings.redis_prefix, settings.redis_timeout)
    truth = truth_reader(settings, settings.postgres_connections)
    kept = KeptUsers(settings.remembered_users)
    user_reader = UserReader(projection, truth, kept)
    neighbours = Neighbours(truth, settings.neighbour_users)

    def forget(withdrawn: Sequence[str] | None) -> None:
        user_reader.forget(withdrawn)
        neighbours.forget(withdrawn)

    kind = Follower if directory is None else partial(SharedFollower, directory)
    follower = kind(
        projection,
        truth,
        scale=settings,
        topic=settings.ratings_topic,
        refresh_seconds=settings.refresh_seconds,
        idle_seconds=settings.idle_seconds,
        half_life=settings.trending_half_life,
        forget=forget,
        kept=kept,
        head_start=head_start,
    )
    predictor = Predictor(
        settings=settings,
        follower=follower,
        users=user_reader,
        neighbours=neighbours,
        reporter=Reporter(truth),
        truth=truth,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(follower.run(), name="follower")
        keeping = asyncio.create_task(
            user_reader.keep_current(lambda: follower.served), name="kept users"
        )
        if isinstance(follower, SharedFollower):
            await follower.attach(ATTACHED_WITHIN)
        try:
            yield
        finally:
            # Again: a client library may swallow a cancellation that comes with an answer.
            while running := [task for task in (following, keeping) if not task.done()]:
                for task in running:
                    task.cancel()
                await asyncio.wait(running, timeout=1)
            await projection.close()
            truth.close()

    async def readiness() -> list[str]:
        if not follower.loaded:
            return [str(follower.progress)]
        served = follower.served
        if served.model is None:
            return ["there is no serving model yet"]
        if (learned := served.as_of.rating_count) < settings.ready_after:
            return [f"the model has learned {learned} of {settings.ready_after} ratings"]
        return []

    app = create_app(
        "Predictor",
        settings,
        description=DESCRIPTION,
        routers=[
            part.router(predictor)
            for part in (predict, recommend, inside, items, users, model, models)
        ],
        writes=models.PATH,
        readiness=readiness,
        lifespan=lifespan,
    )
    app.state.predictor = predictor
    return app
