"""``POST /ratings``: one rating or a list of them into the log."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.responses import Response

from ingest.bodies import Records
from ingest.publishing import Accepted, publish
from ingest.settings import IngestSettings
from recommender.clock import Clock
from recommender.ratings import Scale, encode, rating_type
from service.problems import problem_responses
from service.queries import RequestRoute


def ratings_router(settings: IngestSettings, clock: Clock) -> APIRouter:
    """Build the route.

    Parameters
    ----------
    settings : IngestSettings
        Scale, topic, limits.
    clock : Clock
        Gives ratings without a timestamp theirs.
    """
    router = APIRouter(tags=["ratings"], route_class=RequestRoute)
    ratings = Records(rating_type(Scale.of(settings)), settings.ingest_max_records)
    topic = settings.ratings_topic

    @router.post(
        "/ratings",
        status_code=HTTPStatus.ACCEPTED,
        summary="Rate",
        response_model=Accepted,
        responses=problem_responses(415, 503),
        openapi_extra=ratings.described(
            one_rating={"user": "u1", "item": "318", "rating": settings.rating_max},
            several_ratings=[
                {"user": "u1", "item": "318", "rating": settings.rating_max},
                {
                    "user": 17,
                    "item": 50,
                    "rating": settings.rating_min,
                    "timestamp": "2024-05-01T12:00:00Z",
                    "event_id": "8c2f1e4a",
                },
            ],
        ),
    )
    async def post_ratings(request: Request) -> Response:
        """Take one rating or a list; of a list all are taken, or none if one is wrong.

        The answer comes once Kafka has acknowledged every rating, and says where each is in the
        log. A 503 means that some may not be there: send them again. With an `event_id` a second
        delivery has no effect; without one it counts as rating once more.
        """
        found = await ratings.read(request)
        now = clock.now()
        records = [
            (
                rating.user.encode(),
                encode(
                    rating
                    if rating.timestamp is not None
                    else rating.model_copy(update={"timestamp": now})
                ),
            )
            for rating in found
        ]
        return await publish(request.app.state.log, topic, records)

    return router
