"""``/items``: lists of items for everybody, search in the titles, and one item."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated

import numpy as np
from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import Field
from starlette.responses import Response

from predictor.answers import (
    Ids,
    ItemDescription,
    ItemList,
    SurprisingItems,
    answer,
    common_source,
    list_item,
    listed,
)
from predictor.explaining import recommended
from predictor.listing import Listed, Wishes, ordered, recommend, similar
from predictor.parts import Predictor
from predictor.prediction import predict
from predictor.ranking import by_attribute
from predictor.routes.examples import EXAMPLE_ITEM, example, list_example
from predictor.routes.options import MAX_N, Filters, N, Page
from predictor.served import Served
from predictor.users import unknown
from recommender.ids import Id
from service.problems import problem_responses
from service.queries import QueryRoute

MAX_TEXT = 200
"""Characters of a search text: longer than any title, and likeness costs with the length."""

REPRESENTATIVE_DIVERSITY = 0.7
"""Of the items that a newcomer is asked about: unlike each other first, popular as well."""

NOT_FOUND = "No item has this id; /items/search finds items by title."


class Search(Filters):
    """The query of ``/items/search``."""

    q: str = Field(
        "",
        max_length=MAX_TEXT,
        description="Part of a title; typing errors are allowed. Empty: the most rated.",
        examples=["shawshenk"],
    )
    n: N = 10


class Latest(Page):
    """The query of ``/items/latest``."""

    by: str = Field(
        "year",
        min_length=1,
        max_length=128,
        description="Attribute to go by: a number, or a date as ISO 8601.",
    )


ItemPath = Annotated[Id, Path(description="The item.", examples=["318"])]


def router(predictor: Predictor) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(prefix="/items", tags=["items"], route_class=QueryRoute)

    def shown(served: Served, items: list[Listed]) -> Response:
        found = recommended(served, items, explain=False)
        return listed(served, predictor.stale, common_source(found), found)

    @routes.get(
        "",
        summary="All items",
        response_model=Ids,
        responses={
            200: example({"ids": ["318", "858"], "cursor": "858"}),
            **problem_responses(422, 503),
        },
    )
    async def list_items(
        n: Annotated[int, Query(ge=1, le=MAX_N, description="Ids wanted.")] = 100,
        after: Annotated[
            Id | None, Query(description="The last page's `cursor`.", examples=["318"])
        ] = None,
    ) -> Response:
        """The ids of all items, withdrawn ones too, in order; `cursor` leads to the next page."""
        served = predictor.follower.served
        ids = served.items.page(after or "", n + 1)
        return answer(
            served,
            predictor.stale,
            {"ids": ids[:n], "cursor": ids[n - 1] if len(ids) > n else None},
        )

    @routes.get(
        "/search",
        summary="Search items by title",
        response_model=ItemList,
        responses={200: list_example("title", 90.0), **problem_responses(422, 503)},
    )
    async def search_items(wanted: Annotated[Search, Query()]) -> Response:
        """Items whose titles are like the text, most alike first, the more rated first of equals.

        The score is the likeness from 0 to 100, or the number of ratings where `q` is empty.
        """
        served = predictor.follower.served
        wishes = Wishes(
            n=wanted.n,
            strategy="popular",
            conditions=wanted.conditions,
            min_ratings=wanted.min_ratings,
        )
        if not wanted.q.strip():
            return shown(served, recommend(served, [], wishes))
        # In a thread: with many titles it takes longer than other requests may wait.
        matches = await asyncio.to_thread(served.catalogue.search, wanted.q, wanted.n)
        allowed = served.attributes.mask(wishes.conditions, len(served.items))
        rated: dict[str, int] = {}
        for match in matches:
            position = served.items.position(match.item)
            if position is None or not allowed[position] or served.withdrawn(match.item):
                continue
            if (count := int(served.items.n[position])) >= wanted.min_ratings:
                rated[match.item] = count
        found = [match for match in matches if match.item in rated]
        found.sort(key=lambda match: (-round(match.likeness), -rated[match.item]))
        return listed(
            served,
            predictor.stale,
            "title",
            [list_item(served, match.item, match.likeness, "title") for match in found[: wanted.n]],
        )

    @routes.get(
        "/popular",
        summary="The most rated items",
        response_model=ItemList,
        responses={200: list_example("popular", 317.0), **problem_responses(422, 503)},
    )
    async def popular_items(wanted: Annotated[Page, Query()]) -> Response:
        """Items with the most ratings, which are the score; of equals the better liked first."""
        served = predictor.follower.served
        return shown(served, recommend(served, [], _wishes(wanted, strategy="popular")))

    @routes.get(
        "/trending",
        summary="The items rated most of late",
        response_model=ItemList,
        responses={200: list_example("trending", 41.25), **problem_responses(422, 503)},
    )
    async def trending_items(wanted: Annotated[Page, Query()]) -> Response:
        """The score is the number of ratings, each counting the less the longer it is ago.

        A rating counts half once `RECOMMENDER_TRENDING_HALF_LIFE` others have followed. Filled up
        with the most rated items.
        """
        served = predictor.follower.served
        return shown(served, recommend(served, [], _wishes(wanted, strategy="trending")))

    @routes.get(
        "/latest",
        summary="The newest items",
        response_model=ItemList,
        responses={200: list_example("latest", 2018.0), **problem_responses(422, 503)},
    )
    async def latest_items(wanted: Annotated[Latest, Query()]) -> Response:
        """Items by year, or by another attribute, the highest first; it is the score.

        Where the attribute is a date, the score counts the items from the oldest one on. Items
        without it are not in the list.
        """
        served = predictor.follower.served
        return shown(served, ordered(served, by_attribute(served, wanted.by), _wishes(wanted)))

    @routes.get(
        "/representative",
        summary="Popular items that differ from each other",
        response_model=ItemList,
        responses={200: list_example("popular", 317.0), **problem_responses(422, 503)},
    )
    async def representative_items(wanted: Annotated[Page, Query()]) -> Response:
        """What to ask a newcomer about: known to many, each telling something else of a taste."""
        served = predictor.follower.served
        wishes = _wishes(wanted, strategy="popular", diversity=REPRESENTATIVE_DIVERSITY)
        return shown(served, recommend(served, [], wishes))

    @routes.get(
        "/surprising",
        summary="A user's ratings that are far from expected",
        response_model=SurprisingItems,
        responses={
            200: example(
                {
                    "source": "surprise",
                    "items": [
                        {
                            **EXAMPLE_ITEM,
                            "score": -2.4312,
                            "source": "surprise",
                            "rating": 2.0,
                            "predicted": 4.4312,
                        }
                    ],
                }
            ),
            **problem_responses(422, 503),
        },
    )
    async def surprising_items(
        user: Annotated[Id, Query(description="The user.", examples=["1"])],
        n: Annotated[int, Query(ge=1, le=MAX_N, description="Items wanted.")] = 10,
    ) -> Response:
        """The score is the rating less the prediction as of now; the farthest from 0 first.

        A user who has not rated anything has an empty list.
        """
        served = predictor.follower.served
        found = (await predictor.users.many(served, [user], with_ratings=True))[0]
        rated = found.rated or {}
        expected = predict(served, found, list(rated))
        surprises = np.fromiter(rated.values(), float, len(rated))
        surprises -= np.fromiter((one.score for one in expected), float, len(rated))
        return listed(
            served,
            predictor.stale or found.stale,
            "surprise",
            [
                {
                    **list_item(served, expected[place].item, float(surprises[place]), "surprise"),
                    "rating": rated[expected[place].item],
                    "predicted": round(expected[place].score, 4),
                }
                for place in np.argsort(-np.abs(surprises), kind="stable")[:n].tolist()
            ],
        )

    # Ids may hold slashes, hence the converter; so these come after all other addresses.
    @routes.get(
        "/{item:path}/similar",
        summary="Items like an item",
        response_model=ItemList,
        responses={200: list_example("similar", 0.8312), **problem_responses(404, 422, 503)},
    )
    async def similar_items(item: ItemPath, wanted: Annotated[Page, Query()]) -> Response:
        """By the cosine of their factors, `source` is `similar`; then by attributes: `content`."""
        served = predictor.follower.served
        if item not in served.items:
            raise HTTPException(HTTPStatus.NOT_FOUND, NOT_FOUND)
        return shown(served, similar(served, item, _wishes(wanted)))

    @routes.get(
        "/{item:path}",
        summary="One item",
        response_model=ItemDescription,
        responses={
            200: example(
                {
                    "item": "318",
                    "title": "Shawshank Redemption, The (1994)",
                    "attributes": {"genres": ["Crime", "Drama"], "year": 1994},
                    "available": True,
                    "ratings": 317,
                    "score": 4.3021,
                    "source": "item-bias",
                }
            ),
            **problem_responses(404, 422, 503),
        },
    )
    async def describe_item(item: ItemPath) -> Response:
        """What the catalogue and the model know of an item."""
        served = predictor.follower.served
        position = served.items.position(item)
        if position is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, NOT_FOUND)
        entry = served.catalogue.entry(item)
        expected = predict(served, unknown(served.form, ""), [item])[0]
        return answer(
            served,
            predictor.stale,
            {
                "item": item,
                "title": entry.title if entry else None,
                "attributes": entry.attributes if entry else {},
                "available": not served.withdrawn(item),
                "ratings": int(served.items.n[position]),
                "score": round(expected.score, 4),
                "source": expected.source,
            },
        )

    return routes


def _wishes(page: Page, **more: object) -> Wishes:
    return Wishes(
        n=page.n,
        offset=page.offset,
        conditions=page.conditions,
        min_ratings=page.min_ratings,
        **more,  # type: ignore[arg-type]
    )
