"""Complaints about input in our words: which field, what was sent, what is allowed.

Pydantic finds what is wrong; here its findings become `FieldError`, fit for JSON and for people.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import JsonValue
from pydantic_core import PydanticCustomError

_MAX_SHOWN = 80  # characters of a wrong value that are shown back
_LARGEST_EXACT = 2**53  # larger integers lose digits in JavaScript and many JSON readers
_LENGTHS = {"too_long": ("most", "max_length"), "too_short": ("least", "min_length")}
_LARGEST_BITS = 256  # str() of a huge integer is slow, and forbidden beyond 4,300 digits


class FieldError(NamedTuple):
    """One wrong field: its name as the caller wrote it, what was sent, and what is allowed."""

    field: str
    value: Any
    allowed: str


def refuse(allowed: str) -> PydanticCustomError:
    """Make the error that a validator raises: what is allowed instead, without braces."""
    return PydanticCustomError("not_allowed", allowed)


def presentable(value: Any) -> JsonValue:
    """Turn what was sent into something that JSON can carry and a person can read.

    Parameters
    ----------
    value : object
        Anything: a parsed JSON value, bytes, NaN.

    Returns
    -------
    JsonValue
        ``value`` itself where it is a short scalar, otherwise a shortened text of it.

    Examples
    --------
    >>> presentable(4.5), presentable(float("nan")), presentable(b"4")
    (4.5, 'nan', '4')
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        if abs(value) <= _LARGEST_EXACT:
            return value
        bits = value.bit_length()
        return str(value) if bits <= _LARGEST_BITS else f"an integer of {bits} bits"
    if isinstance(value, bytes | bytearray):
        value = bytes(value[: _MAX_SHOWN + 1]).decode("utf-8", "backslashreplace")
    elif not isinstance(value, str):
        value = _repr(value)
    if len(value) > _MAX_SHOWN:
        value = value[: _MAX_SHOWN - 3] + "..."
    # A lone surrogate is a Python string but not UTF-8.
    return str(value).encode("utf-8", "backslashreplace").decode()


def _repr(value: object) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):  # a huge integer inside, or nested too deeply
        return f"a {type(value).__name__}"


def field_errors(errors: Sequence[Mapping[str, Any]], inside: str = "") -> list[FieldError]:
    """Translate pydantic's errors.

    Parameters
    ----------
    errors : sequence of mapping
        As of ``ValidationError.errors()``: ``loc``, ``type``, ``msg``, ``input``, ``ctx``.
    inside : str
        Name of the object that every ``loc`` starts in, e.g. ``[2]``.

    Returns
    -------
    list of FieldError
        In the given order; ``[2].rating`` is the field ``rating`` in the third of a list.
    """
    return [
        FieldError(_path(error["loc"], inside), _value(error), _allowed(error)) for error in errors
    ]


def _path(loc: Sequence[str | int], inside: str) -> str:
    path = inside
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path or "body"


def _value(error: Mapping[str, Any]) -> Any:
    value = error.get("input")
    if error["type"] == "missing":  # pydantic gives the object that lacks the field
        return None
    if error["type"] in _LENGTHS and isinstance(value, list):
        return f"a list of {len(value)}"
    return value


def _allowed(error: Mapping[str, Any]) -> str:
    kind = error["type"]
    if kind in _LENGTHS and isinstance(error.get("input"), list):
        limit, name = _LENGTHS[kind]
        return f"a list of at {limit} {error['ctx'][name]}"
    if kind == "missing":
        return "a value: the field is required"
    if kind == "extra_forbidden":
        return "no field of this name"
    if kind == "json_invalid":
        return f"valid JSON ({error['ctx']['error']})"
    message = str(error["msg"])
    for start in ("Value error, ", "Input should be ", "Assertion failed, "):
        message = message.removeprefix(start)
    return message
