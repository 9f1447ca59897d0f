"""Routes whose query is one model: read and checked in one go. Routes that read the request alone.

FastAPI reads such a query field by field, which for the options of a list takes longer than finding
the list. Here pydantic gets all of it at once. Signature, OpenAPI and errors stay those of FastAPI.
Where an endpoint takes nothing but the request, there is nothing to be read before it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from inspect import signature
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.params import Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class RequestRoute(APIRoute):
    """A route; quick where its only parameter is the request.

    Such a route must return a `Response`: what it returns is sent as it is.
    """

    def get_route_handler(self) -> Handler:
        """What answers requests; FastAPI's own for all other routes."""
        hints = get_type_hints(self.endpoint)
        names = list(signature(self.endpoint).parameters)
        if len(names) == 1 and hints[names[0]] is Request:
            endpoint: Handler = self.endpoint
            return endpoint
        return super().get_route_handler()


class QueryRoute(APIRoute):
    """A route; quick where its only parameter is ``Annotated[Model, Query()]``.

    Such a route must return a `Response`: what it returns is sent as it is.
    """

    def get_route_handler(self) -> Handler:
        """What answers requests; FastAPI's own for all other routes."""
        found = _query_model(self.endpoint)
        if found is None:
            return super().get_route_handler()
        parameter, model = found
        endpoint = self.endpoint
        names = {name: _is_list(info.annotation) for name, info in model.model_fields.items()}

        async def answer(request: Request) -> Response:
            query = _values(request.scope["query_string"], names)
            try:
                read = model.model_validate(query)
            except ValidationError as error:
                raise RequestValidationError(
                    [
                        {**one, "loc": ("query", *one["loc"])}
                        for one in error.errors(include_url=False)
                    ]
                ) from None
            response: Response = await endpoint(**{parameter: read})
            return response

        return answer


def _query_model(endpoint: Callable[..., Any]) -> tuple[str, type[BaseModel]] | None:
    """The only parameter's name and model, if it is a model of the whole query."""
    names = list(signature(endpoint).parameters)
    hints = get_type_hints(endpoint, include_extras=True)
    if len(names) != 1 or get_origin(hints[names[0]]) is not Annotated:
        return None
    model, *marks = get_args(hints[names[0]])
    is_model = isinstance(model, type) and issubclass(model, BaseModel)
    if not is_model or not any(isinstance(mark, Query) for mark in marks):
        return None
    return names[0], model


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(_is_list(one) for one in get_args(annotation))


def _pairs(query: str) -> list[tuple[str, str]]:
    """What `parse_qsl` gives; of most queries, in which nothing is escaped, in half of the time."""
    if "%" in query or "+" in query:
        return parse_qsl(query, keep_blank_values=True)
    split = (one.partition("=") for one in query.split("&") if one)
    return [(name, value) for name, _, value in split]


def _values(query: bytes, names: Mapping[str, bool]) -> dict[str, str | list[str]]:
    """Values by name: all of a list's, the last of other fields', what is unknown as it came.

    Parameters
    ----------
    query : bytes
    names : mapping of str to bool
        The model's fields, and whether they are lists.
    """
    values: dict[str, str | list[str]] = {}
    for name, value in _pairs(query.decode("latin-1")):
        is_list = names.get(name)
        if is_list is False or (is_list is None and name not in values):
            values[name] = value
            continue
        before = values.setdefault(name, [])
        values[name] = [*before, value] if isinstance(before, list) else [before, value]
    return values
