"""``PUT /items/{item}`` and ``POST /items``: catalogue entries into the log."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from ingest.bodies import Records, describe_one, read_one
from ingest.publishing import Accepted, publish
from ingest.settings import IngestSettings
from recommender.catalogue import CatalogueItem, ItemDescription, encode_item
from recommender.ids import Id
from service.problems import problem_responses

_EXAMPLE = {
    "title": "The Shawshank Redemption (1994)",
    "attributes": {"genres": ["Crime", "Drama"], "year": 1994, "minutes": 142},
}


def items_router(settings: IngestSettings) -> APIRouter:
    """Build the routes.

    Parameters
    ----------
    settings : IngestSettings
        Topic and limits.
    """
    router = APIRouter(tags=["items"])
    entries = Records(CatalogueItem, settings.ingest_max_records)

    async def put(request: Request, items: Sequence[CatalogueItem]) -> Response:
        records = [(item.item.encode(), encode_item(item)) for item in items]
        return await publish(request.app.state.log, settings.items_topic, records)

    # ids may hold slashes, hence the converter
    @router.put(
        "/items/{item:path}",
        status_code=HTTPStatus.ACCEPTED,
        summary="Describe an item",
        response_model=Accepted,
        responses=problem_responses(415, 503),
        openapi_extra=describe_one(ItemDescription, _EXAMPLE),
    )
    async def put_item(
        request: Request,
        item: Annotated[Id, Path(description="The item's id.", examples=["318"])],
    ) -> Response:
        """Add an item to the catalogue, or replace all that the catalogue says about it."""
        described = await read_one(request, ItemDescription)
        entry = CatalogueItem(item=item, title=described.title, attributes=described.attributes)
        return await put(request, [entry])

    @router.delete(
        "/items/{item:path}",
        status_code=HTTPStatus.ACCEPTED,
        summary="Withdraw an item",
        response_model=Accepted,
        responses=problem_responses(503),
    )
    async def withdraw_item(
        request: Request,
        item: Annotated[Id, Path(description="The item's id.", examples=["318"])],
    ) -> Response:
        """Make an item unavailable: it is not recommended from the moment the predictor knows.

        Its title and attributes are gone from the catalogue; ratings of it remain learned. To
        withdraw an item and keep them, put the entry with the attribute `available` false. To
        bring it back, put an entry without.
        """
        return await put(request, [CatalogueItem(item=item, attributes={"available": False})])

    @router.post(
        "/items",
        status_code=HTTPStatus.ACCEPTED,
        summary="Describe many items",
        response_model=Accepted,
        responses=problem_responses(415, 503),
        openapi_extra=entries.described(
            several_items=[
                {"item": "318", **_EXAMPLE},
                {"item": 50, "title": "The Usual Suspects (1995)", "attributes": {"year": 1995}},
            ],
            one_item={"item": "318", **_EXAMPLE},
        ),
    )
    async def post_items(request: Request) -> Response:
        """Add or replace one item or a list; of a list all are taken, or none if one is wrong."""
        return await put(request, await entries.read(request))

    return router
