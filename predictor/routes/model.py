"""``/model``: the serving model's settings, sizes and error."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from predictor.answers import ModelDescription, answer
from predictor.parts import Predictor
from predictor.routes.examples import example
from service.problems import problem_responses

EXAMPLE_POINT = {
    "batch": 812,
    "at": "2026-01-31T12:00:00.250000+00:00",
    "ratings": 1000,
    "total_ratings": 50210,
    "rmse": 0.8812,
    "mae": 0.6731,
}


def router(predictor: Predictor) -> APIRouter:
    """Build the route."""
    routes = APIRouter(tags=["model"])

    @routes.get(
        "/model",
        summary="The serving model",
        response_model=ModelDescription,
        responses={
            200: example(
                {
                    "status": "serving",
                    "data": "MovieLens ml-latest-small",
                    "settings": {"rank": 32, "rating_min": 0.5, "rating_max": 5.0},
                    "counts": {"users": 610, "items": 9742, "ratings": 50210},
                    "lag": 0,
                    "series": [EXAMPLE_POINT],
                    "drift": None,
                }
            ),
            **problem_responses(422, 503),
        },
    )
    async def describe_model(
        points: Annotated[
            int, Query(ge=1, le=2000, description="Longest series; micro-batches are put together.")
        ] = 300,
    ) -> Response:
        """Settings, sizes, and the prequential error from the first rating to the last.

        The series always covers the whole life of the model: consecutive micro-batches are put
        together until no more than `points` are left.
        """
        served = predictor.follower.served
        report, stale = await predictor.reporter.report(served, points)
        record = served.record
        return answer(
            served,
            predictor.stale or stale,
            {
                "status": record.status if record else None,
                "data": record.data if record else "",
                "settings": dict(record.settings) if record else {},
                "counts": {
                    "users": report.users,
                    "items": len(served.items),
                    "ratings": served.as_of.rating_count,
                },
                "lag": predictor.follower.lag,
                "series": [
                    {
                        "batch": point.batch,
                        "at": datetime.fromtimestamp(point.at, UTC),
                        "ratings": point.ratings,
                        "total_ratings": point.total_ratings,
                        "rmse": point.rmse,
                        "mae": point.mae,
                    }
                    for point in report.series
                ],
                "drift": report.drift
                and {
                    "batch": report.drift.batch,
                    "at": datetime.fromtimestamp(report.drift.at, UTC),
                    "usual": report.drift.usual,
                    "deviation": report.drift.deviation,
                    "loss": report.drift.loss,
                },
            },
        )

    return routes
