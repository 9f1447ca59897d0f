"""``/recommend``: the items that a user should see next."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response

from predictor.answers import Recommendations, list_item, listed
from predictor.parts import Predictor
from predictor.ranking import recommend
from predictor.routes.predict import EXAMPLE_ITEM, example
from recommender.ids import Id
from service.problems import problem, problem_responses

MAX_N = 1000
"""Longest list."""


def router(predictor: Predictor) -> APIRouter:
    """Build the route."""
    routes = APIRouter(tags=["recommendations"])

    @routes.get(
        "/recommend",
        summary="Recommend items to a user",
        response_model=Recommendations,
        responses={
            200: example({"source": "model", "items": [EXAMPLE_ITEM]}),
            **problem_responses(422, 503),
        },
    )
    async def recommend_items(
        user: Annotated[Id, Query(description="The user.", examples=["1"])],
        n: Annotated[int, Query(ge=1, le=MAX_N, description="Items wanted.")] = 10,
        include_rated: Annotated[
            bool, Query(description="Whether items that the user has rated may be in the list.")
        ] = False,
        after: Annotated[
            str | None,
            Query(
                pattern=r"^[0-9]{1,9}:[0-9]{1,18}$",
                description="`PARTITION:OFFSET` of a rating, as its posting was answered: wait "
                "until the model has learned it (503 if that takes too long).",
                examples=["0:50209"],
            ),
        ] = None,
    ) -> Response:
        """The items with the highest scores, best first.

        A user whom the model does not know gets the most rated items: `source` is `popular`.
        """
        if after is not None:
            partition, offset = map(int, after.split(":"))
            seconds = predictor.settings.wait_timeout
            if not await predictor.follower.wait_for(partition, offset, seconds):
                reached = orjson.dumps(predictor.follower.served.describe()).decode()
                return problem(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"The rating at {after} was not learned within {seconds:g} seconds; "
                    f"the model has learned as far as {reached}. Ask again, or without `after`.",
                )
        served = predictor.follower.served
        found = await predictor.users.one(served, user)
        ranked = recommend(served, found, n, include_rated)
        ids = served.items.ids
        return listed(
            served,
            predictor.stale or found.stale,
            ranked.source,
            [
                list_item(served, ids[position], score, ranked.source)
                for position, score in zip(
                    ranked.positions.tolist(), ranked.scores.tolist(), strict=True
                )
            ],
        )

    return routes
