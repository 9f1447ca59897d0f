"""Reading what a record of the log holds: JSON, then a model, with one kind of error."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from recommender.errors import InvalidInput
from recommender.validation import field_errors, presentable

Model = TypeVar("Model", bound=BaseModel)


def parse(value: bytes | None, error: type[InvalidInput]) -> dict[str, Any]:
    """Read a record's value as a JSON object.

    Raises
    ------
    error
        If it is not one.
    """
    try:
        parsed = from_json(value or b"")
    except ValueError as reason:
        raise error("value", presentable(value), f"valid JSON ({reason})") from None
    if not isinstance(parsed, dict):
        raise error("value", presentable(parsed), "a JSON object")
    return parsed


def validate(kind: type[Model], value: dict[str, Any], error: type[InvalidInput]) -> Model:
    """Make a model of those fields of an object that it knows.

    Raises
    ------
    error
        Naming the first wrong field, its value and what is allowed.
    """
    known = {name: value[name] for name in kind.model_fields if name in value}
    try:
        return kind.model_validate(known)
    except ValidationError as reason:
        field, wrong, allowed = field_errors(reason.errors(include_url=False))[0]
        raise error(field, presentable(wrong), allowed) from None
