"""``/predict``: the rating that a user would give an item."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from predictor.answers import PairPredictions, Predictions, list_item, listed
from predictor.parts import Predictor
from predictor.prediction import Prediction, parts, predict
from predictor.routes.examples import EXAMPLE_ITEM, example
from predictor.served import Served
from predictor.users import User
from recommender.ids import Id
from service.problems import problem_responses
from service.queries import QueryRoute

MAX_PAIRS = 1000
"""Predictions in one request: about 1 ms of work."""

EXAMPLE_EXPLAINED = {
    **EXAMPLE_ITEM,
    "parts": {"mean": 3.5016, "user_bias": 0.2213, "item_bias": 0.6504, "taste": 0.0579},
    "unclipped": 4.4312,
}


class Asked(BaseModel):
    """The query of ``GET /predict``."""

    user: Id = Field(description="The user.", examples=["1"])
    item: list[Id] = Field(
        description="The item; may be given several times.",
        min_length=1,
        max_length=MAX_PAIRS,
        examples=[["318"]],
    )
    explain: bool = Field(False, description="Whether each prediction says what it adds up from.")


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
    explain: bool = Field(
        False, strict=True, description="Whether each prediction says what it adds up from."
    )


def router(predictor: Predictor) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(tags=["predictions"], route_class=QueryRoute)

    @routes.get(
        "/predict",
        summary="Predict one user's ratings of some items",
        response_model=Predictions,
        responses={
            200: example({"source": "model", "items": [EXAMPLE_EXPLAINED]}),
            **problem_responses(422, 503),
        },
    )
    async def predict_items(asked: Annotated[Asked, Query()]) -> Response:
        """`μ + b_user + b_item + U·P`, clipped to the scale.

        An unknown user or item is predicted from what is known; `source` says from what.
        """
        served = predictor.follower.served
        found = (await predictor.users.many(served, [asked.user]))[0]
        predictions = predict(served, found, asked.item)
        return listed(
            served,
            predictor.stale or found.stale,
            _common_source(predictions),
            _items(served, found, predictions, asked.explain),
        )

    @routes.post(
        "/predict",
        summary="Predict the ratings of many pairs",
        response_model=PairPredictions,
        responses={
            200: example({"source": "model", "items": [{"user": "1", **EXAMPLE_EXPLAINED}]}),
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
        items: dict[int, dict[str, Any]] = {}
        for user in users:
            asked = places[user.user]
            found = predict(served, user, [body.pairs[place].item for place in asked])
            predictions.update(zip(asked, found, strict=True))
            items.update(zip(asked, _items(served, user, found, body.explain), strict=True))
        ordered = [predictions[place] for place in range(len(body.pairs))]
        return listed(
            served,
            predictor.stale or any(user.stale for user in users),
            _common_source(ordered),
            [{"user": pair.user, **items[place]} for place, pair in enumerate(body.pairs)],
        )

    return routes


def _common_source(predictions: list[Prediction]) -> str:
    sources = {prediction.source for prediction in predictions}
    return sources.pop() if len(sources) == 1 else "mixed"


def _items(
    served: Served, user: User, predictions: list[Prediction], explain: bool
) -> list[dict[str, Any]]:
    items = [list_item(served, *prediction) for prediction in predictions]
    if explain:
        names = [prediction.item for prediction in predictions]
        for item, added in zip(items, parts(served, user, names), strict=True):
            item["parts"] = added._asdict()
            item["unclipped"] = added.unclipped
    return items
