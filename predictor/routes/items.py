"""``/items``: search in the titles, and one item."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query
from starlette.responses import Response

from predictor.answers import ItemDescription, ItemList, answer, list_item, listed
from predictor.parts import Predictor
from predictor.prediction import predict
from predictor.ranking import best
from predictor.routes.predict import EXAMPLE_ITEM, example
from predictor.routes.recommend import MAX_N
from predictor.served import Served
from predictor.users import unknown
from recommender.ids import Id
from service.problems import problem_responses

MAX_TEXT = 200
"""Characters of a search text: longer than any title, and likeness costs with the length."""


def router(predictor: Predictor) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(prefix="/items", tags=["items"])

    @routes.get(
        "/search",
        summary="Search items by title",
        response_model=ItemList,
        responses={
            200: example(
                {"source": "title", "items": [{**EXAMPLE_ITEM, "score": 90.0, "source": "title"}]}
            ),
            **problem_responses(422, 503),
        },
    )
    async def search_items(
        q: Annotated[
            str,
            Query(
                max_length=MAX_TEXT,
                description="Part of a title; typing errors are allowed. Empty: the most rated.",
                examples=["shawshenk"],
            ),
        ] = "",
        n: Annotated[int, Query(ge=1, le=MAX_N, description="Items wanted.")] = 10,
    ) -> Response:
        """Items whose titles are like the text, most alike first, the more rated first of equals.

        The score is the likeness from 0 to 100, or the number of ratings where `q` is empty.
        """
        served = predictor.follower.served
        if not q.strip():
            return listed(served, predictor.stale, "popular", _most_rated(served, n))
        catalogue = served.catalogue
        # In a thread: with many titles it takes longer than other requests may wait.
        matches = await asyncio.to_thread(catalogue.search, q, n)
        rated = {match.item: _count(served, match.item) for match in matches}
        matches.sort(key=lambda match: (-round(match.likeness), -rated[match.item]))
        return listed(
            served,
            predictor.stale,
            "title",
            [list_item(served, match.item, match.likeness, "title") for match in matches[:n]],
        )

    @routes.get(
        "/{item}",
        summary="One item",
        response_model=ItemDescription,
        responses={
            200: example(
                {
                    "item": "318",
                    "title": "Shawshank Redemption, The (1994)",
                    "attributes": {"genres": ["Crime", "Drama"], "year": 1994},
                    "ratings": 317,
                    "score": 4.3021,
                    "source": "item-bias",
                }
            ),
            **problem_responses(404, 422, 503),
        },
    )
    async def describe_item(
        item: Annotated[Id, Path(description="The item.", examples=["318"])],
    ) -> Response:
        """What the catalogue and the model know of an item."""
        served = predictor.follower.served
        if served.items.position(item) is None:
            raise HTTPException(
                HTTPStatus.NOT_FOUND, "No item has this id; /items/search finds items by title."
            )
        entry = served.catalogue.entry(item)
        expected = predict(served, unknown(served.form, ""), [item])[0]
        return answer(
            served,
            predictor.stale,
            {
                "item": item,
                "title": entry.title if entry else None,
                "attributes": entry.attributes if entry else {},
                "ratings": _count(served, item),
                "score": round(expected.score, 4),
                "source": expected.source,
            },
        )

    return routes


def _count(served: Served, item: str) -> int:
    position = served.items.position(item)
    return 0 if position is None else int(served.items.n[position])


def _most_rated(served: Served, n: int) -> list[dict[str, Any]]:
    table = served.items
    return [
        list_item(served, table.ids[position], float(table.n[position]), "popular")
        for position in best(table.n.astype("float32"), n).tolist()
    ]
