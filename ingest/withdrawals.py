"""``DELETE /ratings/{user}/{item}`` and ``DELETE /users/{user}``: withdrawals into the log."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError, WithJsonSchema
from starlette.responses import Response

from ingest.publishing import Accepted, publish
from ingest.settings import IngestSettings
from recommender.clock import Clock
from recommender.ids import Id
from recommender.ratings import EventId
from recommender.withdrawals import Withdrawal, encode
from service.problems import problem_responses

# Checked as a withdrawal's, once it is known where the user's id ends.
_AnyId = Annotated[str, WithJsonSchema(TypeAdapter(Id).json_schema())]

EventIdQuery = Annotated[
    EventId,
    Query(
        description="Your own id of this request. Sent again with the same one it has no effect, "
        "and ratings given in the meantime stay.",
        examples=["8c2f1e4a"],
    ),
]


def withdrawals_router(settings: IngestSettings, clock: Clock) -> APIRouter:
    """Build the routes.

    Parameters
    ----------
    settings : IngestSettings
        Topic.
    clock : Clock
        Gives withdrawals their timestamp.
    """
    router = APIRouter()
    topic = settings.ratings_topic

    async def put(request: Request, withdrawal: Withdrawal) -> Response:
        record = (withdrawal.user.encode(), encode(withdrawal))
        return await publish(request.app.state.log, topic, [record])

    @router.delete(
        "/ratings/{user}/{item:path}",
        tags=["ratings"],
        status_code=HTTPStatus.ACCEPTED,
        summary="Delete a rating",
        response_model=Accepted,
        responses=problem_responses(503),
    )
    async def delete_rating(
        request: Request,
        user: Annotated[_AnyId, Path(description="Whose rating.", examples=["u1"])],
        item: Annotated[_AnyId, Path(description="Of which item.", examples=["318"])],
        event_id: EventIdQuery = None,
    ) -> Response:
        """Take back whatever this user has rated this item, once it is reached in the log.

        The ratings are deleted, no longer count, and are not learned from again; a later one is
        learned as any other. Where there is none nothing happens. In a user's id a slash is
        written `%2F`.
        """
        user, item = _as_addressed(request, user, item)
        try:
            withdrawal = Withdrawal(user=user, item=item, timestamp=clock.now(), event_id=event_id)
        except ValidationError as error:
            found = error.errors(include_url=False)
            raise RequestValidationError(
                [{**one, "loc": ("path", *one["loc"])} for one in found]
            ) from None
        return await put(request, withdrawal)

    @router.delete(
        "/users/{user:path}",
        tags=["users"],
        status_code=HTTPStatus.ACCEPTED,
        summary="Delete a user",
        response_model=Accepted,
        responses=problem_responses(503),
    )
    async def delete_user(
        request: Request,
        user: Annotated[Id, Path(description="Who.", examples=["u1"])],
        event_id: EventIdQuery = None,
    ) -> Response:
        """Take back all that a user has rated, and forget the user, once it is reached in the log.

        Ratings, bias and factors are deleted. Who rates again afterwards begins anew.
        """
        return await put(request, Withdrawal(user=user, timestamp=clock.now(), event_id=event_id))

    return router


def _as_addressed(request: Request, user: str, item: str) -> tuple[str, str]:
    """The ids as they were meant where the user's has a slash.

    The framework undoes the escapes before it looks for the slash between the two.
    """
    escaped = request.scope["raw_path"].partition(b"/ratings/")[2].partition(b"/")[0].decode()
    whole = unquote(escaped)
    if "/" not in whole:
        return user, item
    return whole, f"{user}/{item}"[len(whole) + 1 :]
