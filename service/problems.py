"""The one shape of every error: `application/problem+json` (RFC 9457), never a stack trace.

``{"type", "title", "status", "detail", "errors": [{"field", "value", "allowed"}]}``; ``errors``
where fields of the request are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, JsonValue
from starlette.exceptions import HTTPException
from starlette.responses import Response

from recommender.errors import InvalidInput, Refused, Unavailable, UnknownModel
from recommender.validation import FieldError, field_errors, presentable

MEDIA_TYPE = "application/problem+json"

RETRY_AFTER = 1
"""Seconds in ``Retry-After`` of a 503: a store that restarts is soon back, and asking is cheap."""

MAX_ERRORS = 100
"""Wrong fields listed in one answer; a list that is wrong everywhere shall not cost megabytes."""


class ProblemField(BaseModel):
    """One wrong field of a request."""

    field: str = Field(
        description="Name of the field, as sent; `[2].rating` is in the third of a list."
    )
    value: JsonValue = Field(description="What was sent, shortened where long.")
    allowed: str = Field(description="What would have been right.")


class Problem(BaseModel):
    """An error, as of RFC 9457."""

    type: str = Field(
        description="URI of the kind of problem; `about:blank`: the status says it all."
    )
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong and what to do about it.")
    errors: list[ProblemField] | None = Field(
        None, description="The wrong fields, where there are any."
    )


def problem(
    status: int,
    detail: str,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Build an error answer.

    Parameters
    ----------
    status : int
        HTTP status, 400 to 599.
    detail : str
        What is wrong and what to do about it, for a person.
    errors : sequence of FieldError
        The wrong fields; at most `MAX_ERRORS` of them are listed.
    headers : mapping, optional
        Further headers; a 503 has ``Retry-After`` anyway.
    """
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": _title(status),
        "status": status,
        "detail": detail.encode("utf-8", "backslashreplace").decode(),
    }
    if errors:
        content["errors"] = [
            {
                "field": presentable(field),
                "value": presentable(value),
                "allowed": allowed,
            }
            for field, value, allowed in errors[:MAX_ERRORS]
        ]
    sent = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        sent.setdefault("Retry-After", str(RETRY_AFTER))
    return Response(orjson.dumps(content), status_code=status, headers=sent, media_type=MEDIA_TYPE)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def wrong_input(errors: Sequence[FieldError]) -> Response:
    """422 for wrong fields, naming each: field, value and what is allowed."""
    field, value, allowed = errors[0]
    detail = f"{field}: {presentable(value)!r} is not allowed; expected {allowed}"
    if len(errors) > 1:
        detail += f" (and {len(errors) - 1} more)"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)


INTERNAL_ERROR_DETAIL = (
    "Something unexpected went wrong here; the log has it under this answer's X-Request-ID."
)


def internal_error() -> Response:
    """500 without any of the exception in it."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL_ERROR_DETAIL)


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST and isinstance(error.__cause__, _UNREADABLE):
        # FastAPI's 400 for a body that no parser gets through; to the caller it is wrong JSON.
        return wrong_input([FieldError("body", None, "valid JSON in UTF-8, not deeply nested")])
    detail = str(error.detail)
    if detail == _title(error.status_code):  # starlette's own: says nothing beyond the title
        detail = _DETAILS.get(error.status_code, detail)
    return problem(error.status_code, detail, headers=error.headers)


# Not UTF-8, a number of thousands of digits; nested too deeply.
_UNREADABLE = (ValueError, RecursionError)

_DETAILS = {
    404: "There is nothing at this address; /docs lists what there is.",
    405: "This address does not know this method; Allow lists those it knows.",
}


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if found and found[0]["type"] == "json_invalid":
        return wrong_input(
            [FieldError("body", error.body, f"valid JSON ({found[0]['ctx']['error']})")]
        )
    return wrong_input(field_errors([{**one, "loc": _within(one["loc"])} for one in found]))


def _within(loc: Sequence[str | int]) -> Sequence[str | int]:
    """Drop FastAPI's first part, which says where in the request: body, query, path, ..."""
    return loc[1:]


async def _on_invalid_input(_request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidInput)
    return wrong_input([FieldError(error.field, error.value, error.allowed)])


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


async def _on_unknown_model(_request: Request, error: Exception) -> Response:
    return problem(HTTPStatus.NOT_FOUND, _sentence(error))


async def _on_refused(_request: Request, error: Exception) -> Response:
    return problem(HTTPStatus.CONFLICT, _sentence(error))


async def _on_unavailable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Unavailable)
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error that leaves a route a problem.

    `InvalidInput` becomes 422, `UnknownModel` 404, `Refused` 409, `Unavailable` 503 with
    ``Retry-After``; whatever is not expected is left to `service.requests`, which answers 500 and
    logs it.
    """
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(InvalidInput, _on_invalid_input)
    app.add_exception_handler(Unavailable, _on_unavailable)
    app.add_exception_handler(UnknownModel, _on_unknown_model)
    app.add_exception_handler(Refused, _on_refused)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's ``responses`` for a route that can answer with these statuses.

    Examples
    --------
    >>> sorted(problem_responses(422, 503))
    [422, 503]
    """
    return {
        status: {
            "description": _title(status),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }
