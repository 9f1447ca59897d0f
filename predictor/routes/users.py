"""``/users/{user}/ratings``: what a user has rated."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from predictor.answers import ItemList, list_item, listed
from predictor.parts import Predictor
from predictor.routes.predict import EXAMPLE_ITEM, example
from predictor.routes.recommend import MAX_N
from recommender.ids import Id
from service.problems import problem_responses


def router(predictor: Predictor) -> APIRouter:
    """Build the route."""
    routes = APIRouter(prefix="/users", tags=["users"])

    @routes.get(
        "/{user}/ratings",
        summary="A user's ratings",
        response_model=ItemList,
        responses={
            200: example(
                {
                    "source": "ratings",
                    "items": [{**EXAMPLE_ITEM, "score": 5.0, "source": "ratings"}],
                }
            ),
            **problem_responses(422, 503),
        },
    )
    async def user_ratings(
        user: Annotated[Id, Path(description="The user.", examples=["1"])],
        n: Annotated[int, Query(ge=1, le=MAX_N, description="Ratings wanted.")] = MAX_N,
    ) -> Response:
        """The ratings learned from a user, the latest for each item, most recent first.

        The score is the rating. A user who has not rated anything has an empty list.
        """
        served = predictor.follower.served
        rated, stale = await predictor.users.ratings(served, user)
        latest = list(reversed(rated.items()))[:n]
        return listed(
            served,
            predictor.stale or stale,
            "ratings",
            [list_item(served, item, rating, "ratings") for item, rating in latest],
        )

    return routes
