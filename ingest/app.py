"""Where ingest is put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from ingest.bulk import bulk_router
from ingest.items import items_router
from ingest.ratings import ratings_router
from ingest.settings import IngestSettings
from ingest.withdrawals import withdrawals_router
from recommender.clock import SYSTEM_CLOCK, Clock
from service.app import create_app
from storage.log import RatingLog

DESCRIPTION = """
Takes ratings and catalogue entries and writes them to the log, from which the recommender learns.

Every answer 202 says where the records are in the log; give such a place to the predictor's
`/recommend?after=PARTITION:OFFSET` to be sure that it has been learned.
"""


def build(settings: IngestSettings, clock: Clock = SYSTEM_CLOCK) -> FastAPI:
    """Build the service.

    Parameters
    ----------
    settings : IngestSettings
    clock : Clock
        Gives ratings without a timestamp theirs.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with RatingLog(settings) as log:
            app.state.log = log
            yield

    async def readiness() -> list[str]:
        log: RatingLog = app.state.log
        return await log.trouble((settings.ratings_topic, settings.items_topic))

    app = create_app(
        "Ingest",
        settings,
        description=DESCRIPTION,
        routers=[
            bulk_router(settings, clock),
            ratings_router(settings, clock),
            withdrawals_router(settings, clock),
            items_router(settings),
        ],
        uploads=dict.fromkeys(("/bulk/ratings", "/bulk/items"), settings.ingest_max_upload),
        writes=True,
        readiness=readiness,
        lifespan=lifespan,
    )
    return app
