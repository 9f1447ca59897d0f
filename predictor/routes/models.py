"""``/models``: every model there is; put one in service, take it back, retire it.

Here alone the predictor writes, and only through the registry (`storage.models`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import APIRouter, Path
from starlette.responses import Response

from predictor.model_answers import ModelList, ModelVersion, Promotion, RaceDescription
from predictor.parts import Predictor
from predictor.routes.examples import EXAMPLE_HEAD
from service.problems import problem_responses
from storage.models import Registry

Result = TypeVar("Result")

PATH = "/models"

NOTHING_LOADED = {"batch": 0, "offsets": {}, "at": None}

Number = Annotated[int, Path(ge=1, lt=2**31, description="The model's number.")]

EXAMPLE = {
    "model": 3,
    "status": "candidate",
    "parent": 2,
    "created_at": "2026-01-31T02:00:00+00:00",
    "served_at": None,
    "retired_at": None,
    "joined": 81_204,
    "settings": {"rank": 128, "ranking_rank": 192, "rating_min": 0.5, "rating_max": 5.0},
    "data": "MovieLens ml-latest-small",
    "ratings": 100_836,
    "trained_to": {"ratings": {"0": 25_210, "1": 25_104}},
    "metrics": {"rmse": 0.8471, "mae": 0.6502, "ndcg@10": 0.2963},
    "prequential": {"ratings": 5120, "rmse": 0.8512, "rmse_serving": 0.8634},
    "gate": {"state": "passed", "reason": "RMSE 0.8512 beside 0.8634 of the serving model"},
    "reason": "a refit from the stored ratings; trained on 95,000 ratings",
}

EXAMPLE_RACE = {
    "race": 1,
    "state": "running",
    "started_at": "2026-01-31T12:00:00+00:00",
    "ended_at": None,
    "reason": "model 5 leads 2 after 20,500 ratings: faded RMSE 0.8612",
    "contestants": [
        {
            "model": 5,
            "status": "candidate",
            "settings": {"learning_rate": 0.4},
            "ratings": 20_500,
            "rmse": 0.8618,
            "curve": [{"ratings": 10_250, "rmse": 0.8677}, {"ratings": 20_500, "rmse": 0.8612}],
        }
    ],
    "out": [
        {
            "model": 4,
            "reason": "taken out of the race: worse than model 5 by 0.0420 ...",
            "curve": [{"ratings": 10_250, "rmse": 0.8912}],
        }
    ],
    "cost": {"copies": 1, "width": 8, "rows": 10_334, "share": 0.5},
}


def router(predictor: Predictor) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(prefix=PATH, tags=["models"])
    settings = predictor.settings

    async def asked(work: Callable[[Registry], Result]) -> Result:
        def ask() -> Result:
            with closing(Registry(settings)) as registry:
                return work(registry)

        return await asyncio.to_thread(ask)

    def described(registry: Registry, model: int) -> dict[str, Any]:
        (found,) = registry.judged(settings, model)
        return found.described()

    def told(content: Mapping[str, Any]) -> Response:
        # Models that learn have learned the same, so one place in the log is that of all.
        follower = predictor.follower
        as_of = follower.served.as_of_json if follower.loaded else NOTHING_LOADED
        return Response(orjson.dumps({"as_of": as_of, **content}), media_type="application/json")

    @routes.get(
        "",
        summary="All models",
        response_model=ModelList,
        responses={200: _example({"models": [EXAMPLE]}), **problem_responses(503)},
    )
    async def list_models() -> Response:
        """Every model, the latest first, each beside the serving one."""
        found = await asked(lambda registry: registry.judged(settings))
        return told({"models": [one.described() for one in found]})

    @routes.get(
        "/race",
        summary="The race",
        response_model=RaceDescription,
        responses={200: _example(EXAMPLE_RACE), **problem_responses(503)},
    )
    async def show_race() -> Response:
        """The race that is going on, or the last one: who runs, who is out and why, the cost."""

        def work(registry: Registry) -> dict[str, Any]:
            # What writes to Postgres in bulk comes with it: a second and 35 MB, which a predictor
            # that is not asked for races does not spend.
            from storage.races import described_race

            return described_race(registry)

        return told(await asked(work))

    @routes.get(
        "/{model:int}",
        summary="One model",
        response_model=ModelVersion,
        responses={200: _example(EXAMPLE), **problem_responses(404, 422, 503)},
    )
    async def show_model(model: Number) -> Response:
        """One model: its settings, where it comes from, how it does beside the serving one."""
        return told(await asked(lambda registry: described(registry, model)))

    @routes.post(
        "/{model:int}/promote",
        summary="Put a candidate in service",
        response_model=ModelVersion,
        responses={200: _example(EXAMPLE), **problem_responses(404, 409, 422, 503)},
    )
    async def promote(model: Number, promotion: Promotion) -> Response:
        """Put a candidate in service; every predictor follows within a second or two.

        The model that served goes on learning, for a rollback. 409 where the model is no candidate,
        or has not passed the gate and is not forced.
        """

        def work(registry: Registry) -> dict[str, Any]:
            registry.promote(model, settings, force=promotion.force)
            return described(registry, model)

        return told(await asked(work))

    @routes.post(
        "/rollback",
        summary="Take the last promotion back",
        response_model=ModelVersion,
        responses={200: _example(EXAMPLE), **problem_responses(409, 503)},
    )
    async def rollback() -> Response:
        """Put the model that served before back in service; 409 where none is kept."""
        return told(await asked(lambda registry: described(registry, registry.rollback())))

    @routes.post(
        "/{model:int}/retire",
        summary="Take a model out of use",
        response_model=ModelVersion,
        responses={200: _example(EXAMPLE), **problem_responses(404, 409, 422, 503)},
    )
    async def retire(model: Number) -> Response:
        """Stop learning a model and let its rows go; 409 where it serves or is retired already."""

        def work(registry: Registry) -> dict[str, Any]:
            registry.retire(model)
            return described(registry, model)

        return told(await asked(work))

    return routes


def _example(body: dict[str, Any]) -> dict[str, Any]:
    content = {"as_of": EXAMPLE_HEAD["as_of"], **body}
    return {"content": {"application/json": {"example": content}}}
