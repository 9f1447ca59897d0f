"""Looking inside: the plane of the items, how an item is rated, who would like it, the stream."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from predictor.answers import DECIMALS, Answer, UserList, answer
from predictor.parts import Predictor
from predictor.plane import plane
from predictor.routes.examples import EXAMPLE_ITEM, example
from predictor.routes.items import NOT_FOUND, ItemPath
from recommender.ids import Id
from service.problems import problem_responses
from storage.inspection import (
    MicroBatch,
    ages,
    count_dead_letters,
    distribution,
    latest_batches,
)
from storage.reading import Snapshot

Seconds = npt.NDArray[np.float64]

MOST_PLACES = 2000
"""Items on the map: beyond, nobody sees one for the others."""


class Place(BaseModel):
    """An item on the map."""

    item: str
    title: str | None
    genres: list[str]
    ratings: int
    x: float
    y: float


class Coordinates(BaseModel):
    """A place."""

    x: float
    y: float


class ItemMap(Answer):
    """The most rated items in a plane."""

    explained: list[float] = Field(description="Share of the variance that each axis holds.")
    items: list[Place]
    user: Coordinates | None = Field(
        description="null: nothing is known of the user, or none asked."
    )


class RatingCount(BaseModel):
    """How many gave a rating."""

    rating: float
    users: int


class ItemRatings(Answer):
    """How an item has been rated."""

    item: str
    share: float = Field(description="Of all ratings, the random part that was looked through.")
    counts: list[RatingCount]


class StreamedBatch(BaseModel):
    """A micro-batch."""

    batch: int
    at: datetime
    ratings: int
    duplicates: int
    dead_letters: int
    seconds: dict[str, float] = Field(description="By step.")


class Freshness(BaseModel):
    """Seconds from a rating's own time to the commit that learned it."""

    ratings: int = Field(description="Latest ratings that it is taken over; 0: none were live.")
    p50: float | None
    p99: float | None


class Stream(Answer):
    """How learning goes."""

    dead_letters: int = Field(description="Records that could not be read, since the beginning.")
    freshness: Freshness
    batches: list[StreamedBatch] = Field(description="The last micro-batches, oldest first.")


def router(predictor: Predictor) -> APIRouter:
    """Build the routes; to be included before those of ``/items``, which take every address."""
    routes = APIRouter()

    @routes.get(
        "/items/map",
        tags=["items"],
        summary="Items in a plane",
        response_model=ItemMap,
        responses={
            200: example(
                {
                    "explained": [0.0812, 0.0523],
                    "items": [
                        {
                            "item": EXAMPLE_ITEM["item"],
                            "title": EXAMPLE_ITEM["title"],
                            "genres": ["Crime", "Drama"],
                            "ratings": 317,
                            "x": 0.2113,
                            "y": -0.1042,
                        }
                    ],
                    "user": {"x": 0.1902, "y": -0.3111},
                }
            ),
            **problem_responses(422, 503),
        },
    )
    async def item_map(
        n: Annotated[int, Query(ge=2, le=MOST_PLACES, description="Items wanted.")] = 300,
        user: Annotated[Id | None, Query(description="Whom to put among them.")] = None,
    ) -> Response:
        """The most rated items by the first two principal components of their vectors' directions.

        What is near each other is alike; the axes have no other meaning, and may turn as the model
        learns.
        """
        served = predictor.follower.served
        person = None
        if user is not None:
            [person] = await predictor.users.many(served, [user], with_ratings=True)
        found = plane(served, n, person)
        items = []
        for position, (x, y) in zip(found.positions.tolist(), found.items.tolist(), strict=True):
            item = served.items.ids[position]
            entry = served.catalogue.entry(item)
            genres = entry.attributes.get("genres") if entry else None
            items.append(
                {
                    "item": item,
                    "title": entry.title if entry else None,
                    "genres": [str(one) for one in genres] if isinstance(genres, list) else [],
                    "ratings": int(served.items.n[position]),
                    "x": round(x, DECIMALS),
                    "y": round(y, DECIMALS),
                }
            )
        place = None
        if found.person is not None:
            x, y = found.person.tolist()
            place = {"x": round(x, DECIMALS), "y": round(y, DECIMALS)}
        return answer(
            served,
            predictor.stale or bool(person and person.stale),
            {
                "explained": np.round(found.explained, DECIMALS).tolist(),
                "items": items,
                "user": place,
            },
        )

    @routes.get(
        "/items/{item:path}/ratings",
        tags=["items"],
        summary="How an item is rated",
        response_model=ItemRatings,
        responses={
            200: example({"item": "318", "share": 1.0, "counts": [{"rating": 5.0, "users": 153}]}),
            **problem_responses(404, 422, 503),
        },
    )
    async def item_ratings(item: ItemPath) -> Response:
        """How many users gave which rating, the latest of each; of a long history a random part."""
        served = predictor.follower.served
        if item not in served.items:
            raise HTTPException(HTTPStatus.NOT_FOUND, NOT_FOUND)
        found = await asyncio.to_thread(
            predictor.truth.read, lambda snapshot: distribution(snapshot, item)
        )
        counts = [{"rating": rating, "users": users} for rating, users in found.counts.items()]
        return answer(
            served,
            predictor.stale,
            {"item": item, "share": round(found.share, DECIMALS), "counts": counts},
        )

    @routes.get(
        "/items/{item:path}/users",
        tags=["items"],
        summary="Who would like an item",
        response_model=UserList,
        responses={
            200: example(
                {"source": "factors", "users": [{"user": "7", "score": 4.8315, "ratings": 152}]}
            ),
            **problem_responses(404, 422, 503),
        },
    )
    async def item_users(
        item: ItemPath,
        n: Annotated[int, Query(ge=1, le=1000, description="Users wanted.")] = 10,
    ) -> Response:
        """The highest predicted ratings among the users who rated last, their own rating or not.

        The score is the predicted rating before it is clipped to the scale: so nobody is equal.
        """
        served = predictor.follower.served
        position = served.items.position(item)
        if position is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, NOT_FOUND)
        found, stale = await predictor.neighbours.active(served)
        users = []
        if found.users:
            table = served.items
            expected = served.mean + table.bias[position] + found.rows.bias
            expected = expected + found.rows.factors @ table.factors[position]
            order = np.argsort(-expected, kind="stable")[:n].tolist()
            users = [
                {
                    "user": found.users[place],
                    "score": round(float(expected[place]), DECIMALS),
                    "ratings": int(found.rows.n[place]),
                }
                for place in order
            ]
        return answer(served, predictor.stale or stale, {"source": "factors", "users": users})

    @routes.get(
        "/model/stream",
        tags=["model"],
        summary="How learning goes",
        response_model=Stream,
        responses={
            200: example(
                {
                    "dead_letters": 2,
                    "freshness": {"ratings": 812, "p50": 0.21, "p99": 0.38},
                    "batches": [
                        {
                            "batch": 812,
                            "at": "2026-01-31T12:00:00.250000+00:00",
                            "ratings": 300,
                            "duplicates": 0,
                            "dead_letters": 0,
                            "seconds": {"read": 0.013, "learn": 0.001, "commit": 0.031},
                        }
                    ],
                }
            ),
            **problem_responses(422, 503),
        },
    )
    async def describe_stream(
        n: Annotated[int, Query(ge=1, le=500, description="Micro-batches wanted.")] = 60,
    ) -> Response:
        """The last micro-batches with the time of each step, dead letters, and freshness.

        Freshness counts from the ratings' own `timestamp`; ratings of more than an hour ago, as
        of a data set that is streamed, are left out.
        """
        served = predictor.follower.served
        model, topic = served.model, predictor.settings.ratings_topic
        if model is None:
            batches: list[MicroBatch] = []
            seconds, dead = np.zeros(0), 0
        else:

            def read(snapshot: Snapshot) -> tuple[list[MicroBatch], Seconds, int]:
                latest = latest_batches(snapshot, model, topic, n)
                return latest, ages(snapshot, latest), count_dead_letters(snapshot)

            batches, seconds, dead = await asyncio.to_thread(predictor.truth.read, read)
        p50, p99 = np.percentile(seconds, (50, 99)).tolist() if len(seconds) else (None, None)
        return answer(
            served,
            predictor.stale,
            {
                "dead_letters": dead,
                "freshness": {"ratings": len(seconds), "p50": p50, "p99": p99},
                "batches": [
                    {
                        "batch": one.batch,
                        "at": datetime.fromtimestamp(one.at, UTC),
                        "ratings": one.ratings,
                        "duplicates": one.duplicates,
                        "dead_letters": one.dead_letters,
                        "seconds": dict(one.seconds),
                    }
                    for one in batches
                ],
            },
        )

    return routes
