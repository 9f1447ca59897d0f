"""``/recommend``: the items that somebody should see next."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Self

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from predictor.answers import (
    RecommendationLists,
    Recommendations,
    answer,
    common_source,
    listed,
)
from predictor.explaining import recommended
from predictor.listing import recommend
from predictor.parts import Predictor
from predictor.people import somebody
from predictor.ranking import GROUP
from predictor.routes.examples import EXAMPLE_ITEM, example
from predictor.routes.options import MAX_IDS, Options
from predictor.served import Served
from predictor.users import User
from recommender.errors import InvalidInput
from recommender.ids import MAX_ID, PRINTABLE, Id
from recommender.validation import refuse
from service.problems import problem, problem_responses
from service.queries import QueryRoute

MAX_USERS = 100
"""Users in one request: each costs as much as a request of its own."""

MAX_MEMBERS = 50
"""People in a group."""

EXAMPLE_EXPLANATION = {
    "parts": {"taste": 0.8123, "prediction": 0.4431, "popularity": 0.0021},
    "why": [
        {
            "item": "858",
            "title": "Godfather, The (1972)",
            "rating": 5.0,
            "part": "taste",
            "contribution": 0.3021,
            "share": 0.3719,
        }
    ],
    "others": {"count": 23, "contribution": 0.5102},
}
EXAMPLE = {
    "source": "model",
    "items": [{**EXAMPLE_ITEM, "score": 1.2575, "explanation": EXAMPLE_EXPLANATION}],
}


class UserOptions(Options):
    """The query of ``GET /recommend``."""

    user: Id | None = Field(
        None, description="The user; left out: somebody unknown.", examples=["1"]
    )


class Group(BaseModel):
    """Several people who want one list together."""

    model_config = ConfigDict(extra="forbid", strict=True)

    users: list[Id] = Field(min_length=1, max_length=MAX_MEMBERS)
    aggregate: GROUP = Field(
        "average",
        description="`average` of the scores, or `least_misery`: the score of the least pleased.",
    )


class Wanted(Options):
    """The body of ``POST /recommend``: for whom, and the same options as `GET` has."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {"ratings": {"318": 5, "858": 4.5}, "n": 5},
                {"users": ["1", "2"], "n": 5, "genre": ["Drama"]},
                {"group": {"users": ["1", "2"], "aggregate": "least_misery"}, "explain": True},
                {"context": ["50"], "diversity": 0.3},
            ]
        },
    )

    users: list[Id] | None = Field(
        None, min_length=1, max_length=MAX_USERS, description="Several users: a list for each."
    )
    group: Group | None = Field(None, description="Several users together: one list.")
    ratings: dict[Id, float] | None = Field(
        None,
        max_length=MAX_IDS,
        description="Somebody unknown, by ratings of items; nothing of it is stored.",
        json_schema_extra={
            "anyOf": [
                {
                    "type": "object",
                    "propertyNames": {
                        "minLength": 1,
                        "maxLength": MAX_ID,
                        "pattern": PRINTABLE,
                    },
                    "additionalProperties": {"type": "number"},
                    "maxProperties": MAX_IDS,
                },
                {"type": "null"},
            ]
        },
    )

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, given: object) -> object:
        """Let 5.0 be 5: JSON has one kind of number, and strict pydantic has two."""
        if not isinstance(given, dict):
            return given
        return {
            name: int(value) if isinstance(value, float) and value.is_integer() else value
            for name, value in given.items()
        }

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        given = [name for name in ("users", "group", "ratings") if getattr(self, name) is not None]
        if len(given) > 1:
            raise refuse("one of users, group and ratings, not several")
        return self


def router(predictor: Predictor) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(tags=["recommendations"], route_class=QueryRoute)

    @routes.get(
        "/recommend",
        summary="Recommend items to a user",
        response_model=Recommendations,
        responses={200: example(EXAMPLE), **problem_responses(422, 503)},
    )
    async def recommend_items(wanted: Annotated[UserOptions, Query()]) -> Response:
        """The items with the highest scores, best first.

        A user whom the model does not know gets what is like the `context`, else what is rated of
        late or popular; `source` says which.
        """
        late = await _wait(predictor, wanted.after)
        if late is not None:
            return late
        served = predictor.follower.served
        users = [] if wanted.user is None else [wanted.user]
        people = await _people(predictor, served, users)
        content = _list(served, people, wanted)
        return listed(served, _stale(predictor, people), content["source"], content["items"])

    @routes.post(
        "/recommend",
        summary="Recommend items to several users, a group, or somebody anonymous",
        response_model=Recommendations | RecommendationLists,
        responses={200: example(EXAMPLE), **problem_responses(422, 503)},
    )
    async def recommend_to(wanted: Wanted) -> Response:
        """`users`: `lists`, one for each; `group`: one list for all of them together.

        `ratings`: a person is folded in from them as a user is; nothing is stored. With none of
        them: somebody of whom only the `context`, if that, is known.
        """
        late = await _wait(predictor, wanted.after)
        if late is not None:
            return late
        served = predictor.follower.served
        if wanted.users is not None:
            people = await _people(predictor, served, wanted.users)
            lists = [{"user": one.user, **_list(served, [one], wanted)} for one in people]
            return answer(served, _stale(predictor, people), {"lists": lists})
        how: GROUP = "average"
        if wanted.group is not None:
            how = wanted.group.aggregate
            people = await _people(predictor, served, list(dict.fromkeys(wanted.group.users)))
        else:
            people = [_anonymous(served, wanted.ratings or {})]
        content = _list(served, people, wanted, how)
        return listed(served, _stale(predictor, people), content["source"], content["items"])

    return routes


async def _people(predictor: Predictor, served: Served, users: list[str]) -> list[User]:
    """Users with their ratings; folded in where the model has no row of them."""
    distinct = list(dict.fromkeys(users))
    found = await predictor.users.many(served, distinct, with_ratings=True)
    people = {
        one.user: one if one.known or not one.rated else somebody(served, one.rated, one.user)
        for one in found
    }
    return [people[user] for user in users]


def _anonymous(served: Served, ratings: dict[str, float]) -> User:
    for item, rating in ratings.items():
        if not served.rating_min <= rating <= served.rating_max:
            raise InvalidInput(
                f"ratings.{item}",
                rating,
                f"a number from {served.rating_min:g} to {served.rating_max:g}",
            )
    return somebody(served, ratings)


def _list(
    served: Served, people: list[User], wanted: Options, how: GROUP = "average"
) -> dict[str, Any]:
    found = recommend(served, people, wanted.wishes, how)
    items = recommended(served, found, wanted.explain)
    return {"source": common_source(items), "items": items}


def _stale(predictor: Predictor, people: list[User]) -> bool:
    return predictor.stale or any(person.stale for person in people)


async def _wait(predictor: Predictor, after: str | None) -> Response | None:
    """Wait until a record has been learned; the answer 503 where it was not in time."""
    if after is None:
        return None
    partition, offset = map(int, after.split(":"))
    seconds = predictor.settings.wait_timeout
    if await predictor.follower.wait_for(partition, offset, seconds):
        return None
    reached = orjson.dumps(predictor.follower.served.describe()).decode()
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"The rating at {after} was not learned within {seconds:g} seconds; "
        f"the model has learned as far as {reached}. Ask again, or without `after`.",
    )
