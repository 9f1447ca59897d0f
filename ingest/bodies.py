"""Request bodies: JSON of one record or a list of them, read and checked in one go.

The routes take the body themselves instead of declaring it to FastAPI: pydantic reads it straight
from its bytes, several times as fast, and OpenAPI is told by `described`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException

Model = TypeVar("Model", bound=BaseModel)


class Records(Generic[Model]):
    """Reads records of one kind.

    Parameters
    ----------
    kind : type
        The model of one record.
    most : int
        Largest number of records in a list.
    """

    def __init__(self, kind: type[Model], most: int) -> None:
        self._kind = kind
        bounded = Annotated[list[kind], Field(min_length=1, max_length=most)]  # type: ignore[valid-type]
        self._list: TypeAdapter[list[Model]] = TypeAdapter(bounded)

    async def read(self, request: Request) -> list[Model]:
        """Read one record or a list of them; all are right, or none is taken.

        Raises
        ------
        RequestValidationError
            Naming every wrong field of every wrong record.
        HTTPException
            415 if the body is not said to be JSON.
        """
        body = await json_body(request)
        try:
            if body.lstrip()[:1] == b"[":
                return self._list.validate_json(body)
            return [self._kind.model_validate_json(body)]
        except ValidationError as error:
            raise wrong_body(error, body) from None

    def described(self, **examples: Any) -> dict[str, Any]:
        """OpenAPI's description of such a body, with examples by name."""
        one = self._kind.model_json_schema()
        definitions = one.pop("$defs", {})
        many = {key: value for key, value in self._list.json_schema().items() if key != "$defs"}
        many["items"] = one
        return _request_body(
            _inlined({"anyOf": [one, many]}, definitions),
            {name.replace("_", " "): {"value": value} for name, value in examples.items()},
        )


async def read_one(request: Request, kind: type[Model]) -> Model:
    """Read exactly one record; raises like `Records.read`."""
    body = await json_body(request)
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise wrong_body(error, body) from None


def describe_one(kind: type[BaseModel], example: Any) -> dict[str, Any]:
    """OpenAPI's description of a body of exactly one record."""
    schema = kind.model_json_schema()
    definitions = schema.pop("$defs", {})
    return _request_body(_inlined(schema, definitions), {"example": {"value": example}})


async def json_body(request: Request) -> bytes:
    """The body, if it is said to be JSON.

    Raises
    ------
    HTTPException
        415 if not. A browser's page may send other types to any address without asking, so taking
        them would let every web page write into a service that runs on the visitor's machine.
    """
    content_type = request.headers.get("content-type", "")
    if content_type != "application/json":
        kind = content_type.partition(";")[0].strip().lower()
        if kind != "application/json" and not (
            kind.startswith("application/") and kind.endswith("+json")
        ):
            raise HTTPException(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "Send JSON, with the header Content-Type: application/json.",
            )
    return await request.body()


def wrong_body(error: ValidationError, body: bytes) -> RequestValidationError:
    """Pydantic's error as FastAPI's, which `service.problems` answers with 422."""
    found = error.errors(include_url=False)
    return RequestValidationError(
        [{**one, "loc": ("body", *one["loc"])} for one in found], body=body
    )


def _request_body(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "examples": examples}},
        }
    }


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Put definitions where they are referred to: a route's extra schema cannot bring its own."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return _inlined(definitions[reference.rpartition("/")[2]], definitions)
        return {key: _inlined(value, definitions) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_inlined(value, definitions) for value in schema]
    return schema
