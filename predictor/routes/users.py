"""``/users``: what is known of users, what they have rated, and who is like them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from predictor.answers import (
    DECIMALS,
    Ids,
    ItemList,
    UserDescription,
    UserList,
    answer,
    list_item,
    listed,
)
from predictor.parts import Predictor
from predictor.routes.examples import example, list_example
from predictor.routes.options import MAX_N, MAX_OFFSET
from recommender.ids import Id
from service.problems import problem_responses

UserPath = Annotated[Id, Path(description="The user.", examples=["1"])]
Wanted = Annotated[int, Query(ge=1, le=MAX_N, description="Users wanted.")]


def router(predictor: Predictor) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(prefix="/users", tags=["users"])

    @routes.get(
        "",
        summary="All users",
        response_model=Ids,
        responses={200: example({"ids": ["1", "2"], "cursor": "2"}), **problem_responses(422, 503)},
    )
    async def list_users(
        n: Annotated[int, Query(ge=1, le=MAX_N, description="Ids wanted.")] = 100,
        after: Annotated[
            Id | None, Query(description="The last page's `cursor`.", examples=["1"])
        ] = None,
    ) -> Response:
        """The ids of all users whom the model knows, in order; `cursor` leads to the next page.

        Without Postgres only those that this process remembers; the answer is `stale` then.
        """
        served = predictor.follower.served
        ids, stale = await predictor.users.ids(served, after or "", n + 1)
        return answer(
            served,
            predictor.stale or stale,
            {"ids": ids[:n], "cursor": ids[n - 1] if len(ids) > n else None},
        )

    @routes.get(
        "/active",
        summary="The users who rated last",
        response_model=UserList,
        responses={
            200: example(
                {"source": "activity", "users": [{"user": "1", "score": 812.0, "ratings": 232}]}
            ),
            **problem_responses(422, 503),
        },
    )
    async def active_users(
        n: Wanted = 10,
        offset: Annotated[
            int, Query(ge=0, le=MAX_OFFSET, description="Users to be passed over first.")
        ] = 0,
    ) -> Response:
        """Those whose ratings were learned last; the score is the micro-batch that learned them."""
        served = predictor.follower.served
        found, stale = await predictor.neighbours.active(served)
        page = slice(offset, offset + n)
        users = [
            {"user": user, "score": float(batch), "ratings": int(ratings)}
            for user, batch, ratings in zip(
                found.users[page], found.batches[page], found.rows.n[page], strict=True
            )
        ]
        return answer(served, predictor.stale or stale, {"source": "activity", "users": users})

    # Ids may hold slashes, hence the converter; so these come after all other addresses.
    @routes.get(
        "/{user:path}/ratings",
        summary="A user's ratings",
        response_model=ItemList,
        responses={200: list_example("ratings", 5.0), **problem_responses(422, 503)},
    )
    async def user_ratings(
        user: UserPath,
        n: Annotated[int, Query(ge=1, le=MAX_N, description="Ratings wanted.")] = MAX_N,
        offset: Annotated[
            int, Query(ge=0, le=2**31 - 1, description="Ratings to be passed over first.")
        ] = 0,
    ) -> Response:
        """The ratings learned from a user, the latest for each item, most recent first.

        The score is the rating. A user who has not rated anything has an empty list.
        """
        served = predictor.follower.served
        rated, stale = await predictor.users.ratings(served, user)
        latest = list(reversed(rated.items()))[offset : offset + n]
        return listed(
            served,
            predictor.stale or stale,
            "ratings",
            [list_item(served, item, rating, "ratings") for item, rating in latest],
        )

    @routes.get(
        "/{user:path}/similar",
        summary="Users like a user",
        response_model=UserList,
        responses={
            200: example(
                {"source": "factors", "users": [{"user": "7", "score": 0.7315, "ratings": 152}]}
            ),
            **problem_responses(422, 503),
        },
    )
    async def similar_users(user: UserPath, n: Wanted = 10) -> Response:
        """By the cosine of their vectors, among those who rated last.

        Of a user whom the model does not know nobody is like: the list is empty.
        """
        served = predictor.follower.served
        found = await predictor.users.one(served, user)
        users, stale = await predictor.neighbours.similar(served, found, n)
        return answer(
            served,
            predictor.stale or stale or found.stale,
            {
                "source": "factors",
                "users": [
                    {"user": one, "score": round(likeness, DECIMALS), "ratings": ratings}
                    for one, likeness, ratings in users
                ],
            },
        )

    @routes.get(
        "/{user:path}",
        summary="One user",
        response_model=UserDescription,
        responses={
            200: example(
                {
                    "user": "1",
                    "ratings": 232,
                    "bias": 0.4213,
                    "mean_rating": 4.3664,
                    "rated_items": 232,
                    "source": "model",
                }
            ),
            **problem_responses(422, 503),
        },
    )
    async def describe_user(user: UserPath) -> Response:
        """What the model knows of a user; of one whom it has not met: 0 ratings."""
        served = predictor.follower.served
        found = await predictor.users.one(served, user)
        rated = found.rated or {}
        mean = round(sum(rated.values()) / len(rated), DECIMALS) if rated else None
        return answer(
            served,
            predictor.stale or found.stale,
            {
                "user": user,
                "ratings": found.n,
                "bias": round(found.bias, DECIMALS),
                "mean_rating": mean,
                "rated_items": len(rated),
                "source": "model" if found.known else "none",
            },
        )

    return routes
