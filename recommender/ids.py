"""Ids of users and items.

An id is a string of 1 to 256 characters without control characters. Whole numbers are accepted
and mean their decimal digits, so that 1, 1.0 and "1" are the same user: JSON has one kind of
number, and JavaScript writes 1.0 as 1. All else that is not a string (true, 1.5, null) is refused.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from recommender.validation import refuse

MAX_ID = 256
"""Characters of an id: room for any key in use, and small against a row of factors."""

PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]+$"
"""The pattern of such text, for JSON Schema."""

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and lone surrogates, which UTF-8 cannot say."""

_ALLOWED = f"a string of 1 to {MAX_ID} characters without control characters, or a whole number"
_EXACT = 2**53  # a float that is a larger whole number has lost digits


def canonical_id(value: object) -> str:
    """Check an id and give its one spelling.

    Parameters
    ----------
    value : object
        A string, or a whole number.

    Raises
    ------
    PydanticCustomError
        If it is neither, or empty, too long, or with control characters.

    Examples
    --------
    >>> canonical_id("u1"), canonical_id(17), canonical_id(17.0)
    ('u1', '17', '17')
    """
    if not isinstance(value, str):
        if isinstance(value, int) and not isinstance(value, bool):
            if value.bit_length() > 4 * MAX_ID:  # more digits than fit; str() is slow or refuses
                raise refuse(_ALLOWED)
            value = str(value)
        elif isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
            value = str(int(value))
        else:
            raise refuse(_ALLOWED)
    if not 0 < len(value) <= MAX_ID or UNPRINTABLE.search(value):
        raise refuse(_ALLOWED)
    return value


Id = Annotated[
    str,
    BeforeValidator(canonical_id),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": MAX_ID,
                    "pattern": PRINTABLE,
                },
                {"type": "integer"},
            ]
        }
    ),
]
"""A user or an item."""
