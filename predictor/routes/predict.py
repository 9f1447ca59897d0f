"""``/predict``: the rating that a user would give an item."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from predictor.answers import PairPredictions, Predictions, list_item, listed
from predictor.parts import Predictor
from predictor.prediction import Prediction, predict
from recommender.ids import Id
from service.problems import problem_responses

MAX_PAIRS = 1000
"""Predictions in one request: about 1 ms of work."""

EXAMPLE_HEAD = {
    "model": 1,
    "as_of": {"batch": 812, "offsets": {"0": 50210}, "at": "2026-01-31T12:00:00.250000+00:00"},
    "stale": False,
}
EXAMPLE_ITEM = {
    "item": "318",
    "score": 4.4312,
    "title": "Shawshank Redemption, The (1994)",
    "source": "model",
}


def example(body: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI entry of an answer: its own fields by example, behind every answer's head."""
    return {"content": {"application/json": {"example": {**EXAMPLE_HEAD, **body}}}}


class Pair(BaseModel):
    """A user and an item."""

    model_config = ConfigDict(extra="forbid")

    user: Id
    item: Id


class Pairs(BaseModel):
    """What to predict."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"pairs": [{"user": "1", "item": "318"}, {"user": "2", "item": "318"}]}]
        },
    )

    pairs: list[Pair] = Field(min_length=1, max_length=MAX_PAIRS)


def router(predictor: Predictor) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(tags=["predictions"])

    @routes.get(
        "/predict",
        summary="Predict one user's ratings of some items",
        response_model=Predictions,
        responses={
            200: example({"source": "model", "items": [EXAMPLE_ITEM]}),
            **problem_responses(422, 503),
        },
    )
    async def predict_items(
        user: Annotated[Id, Query(description="The user.", examples=["1"])],
        item: Annotated[
            list[Id],
            Query(
                description="The item; may be given several times.",
                min_length=1,
                max_length=MAX_PAIRS,
                examples=[["318"]],
            ),
        ],
    ) -> Response:
        """`μ + b_user + b_item + U·P`, clipped to the scale.

        An unknown user or item is predicted from what is known; `source` says from what.
        """
        served = predictor.follower.served
        found = (await predictor.users.many(served, [user]))[0]
        predictions = predict(served, found, item)
        return listed(
            served,
            predictor.stale or found.stale,
            _common_source(predictions),
            [list_item(served, *prediction) for prediction in predictions],
        )

    @routes.post(
        "/predict",
        summary="Predict the ratings of many pairs",
        response_model=PairPredictions,
        responses={
            200: example({"source": "model", "items": [{"user": "1", **EXAMPLE_ITEM}]}),
            **problem_responses(422, 503),
        },
    )
    async def predict_pairs(body: Pairs) -> Response:
        """Like `GET`, for users and items in any combination; the answer keeps their order."""
        served = predictor.follower.served
        places: dict[str, list[int]] = {}
        for place, pair in enumerate(body.pairs):
            places.setdefault(pair.user, []).append(place)
        users = await predictor.users.many(served, list(places))
        predictions: dict[int, Prediction] = {}
        for user in users:
            asked = places[user.user]
            items = [body.pairs[place].item for place in asked]
            predictions.update(zip(asked, predict(served, user, items), strict=True))
        ordered = [predictions[place] for place in range(len(body.pairs))]
        return listed(
            served,
            predictor.stale or any(user.stale for user in users),
            _common_source(ordered),
            [
                {"user": pair.user, **list_item(served, *prediction)}
                for pair, prediction in zip(body.pairs, ordered, strict=True)
            ],
        )

    return routes


def _common_source(predictions: list[Prediction]) -> str:
    sources = {prediction.source for prediction in predictions}
    return sources.pop() if len(sources) == 1 else "mixed"
