"""The catalogue: what is known of items, and how it is written in the log."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import to_json

from recommender.errors import InvalidInput
from recommender.ids import Id
from recommender.records import parse, validate
from recommender.validation import refuse

MAX_ITEM_BYTES = 32 * 2**10
"""Bytes of an encoded catalogue entry: the predictor holds all of them in memory."""

_MAX_DEPTH = 16  # of attributes: deep enough for data, and no stack overflows anywhere on the way

# Postgres keeps no NUL in text, UTF-8 no lone surrogates.
_NOT_STORABLE = re.compile(r"[\x00\ud800-\udfff]")


def _check_storable(value: Any, depth: int = _MAX_DEPTH) -> None:
    """Refuse what some station on an item's way cannot keep."""
    if depth == 0:
        raise refuse(f"JSON nested no more than {_MAX_DEPTH} deep")
    if isinstance(value, float) and not math.isfinite(value):
        raise refuse("finite numbers only")
    if isinstance(value, str) and _NOT_STORABLE.search(value):
        raise refuse("text without NUL characters and lone surrogates")
    if isinstance(value, list):
        for part in value:
            _check_storable(part, depth - 1)
    elif isinstance(value, dict):
        for name, part in value.items():
            _check_storable(name, depth)
            _check_storable(part, depth - 1)


def _storable(value: Any) -> Any:
    _check_storable(value)
    return value


def _year(value: object) -> object:
    if isinstance(value, bool | str):  # pydantic would make 1 of true and 1994 of "1994"
        raise refuse("a whole number, e.g. 1994")
    return value


class Attributes(BaseModel):
    """What is known of an item: genres, year, whether it is available, and any other JSON."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    genres: list[Annotated[str, Field(strict=True, min_length=1, max_length=128)]] = Field(
        default_factory=list, max_length=64, description="Genres.", examples=[["Crime", "Drama"]]
    )
    year: Annotated[int | None, BeforeValidator(_year)] = Field(
        None, ge=-9999, le=9999, description="Year of origin.", examples=[1994]
    )
    available: bool = Field(
        True,
        strict=True,
        description="False: withdrawn; not recommended from the moment the predictor knows.",
    )


class ItemDescription(BaseModel):
    """What a catalogue says about an item.

    Parameters
    ----------
    title : str, optional
        For people, at most 1,024 characters.
    attributes : Attributes
        ``genres``, ``year`` and any others; at most 32 KiB as JSON together with the rest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Annotated[str | None, BeforeValidator(_storable)] = Field(
        None,
        strict=True,
        max_length=1024,
        description="Title, for people.",
        examples=["The Shawshank Redemption (1994)"],
    )
    attributes: Annotated[Attributes, BeforeValidator(_storable)] = Field(
        default_factory=Attributes,
        description="Genres, year and whatever else is known; any JSON.",
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if len(self.model_dump_json()) > MAX_ITEM_BYTES:
            raise refuse(f"title and attributes of at most {MAX_ITEM_BYTES} bytes as JSON")
        return self


class CatalogueItem(ItemDescription):
    """A catalogue entry: an item and what is known of it.

    Examples
    --------
    >>> CatalogueItem(item=318, title="Se7en", attributes={"year": 1995}).item
    '318'
    """

    item: Id = Field(description="The item's id.", examples=["318"])


def encode_item(item: CatalogueItem) -> bytes:
    """Write a catalogue entry as the log keeps it: canonical JSON, UTF-8.

    Examples
    --------
    >>> encode_item(CatalogueItem(item="318", title="Se7en", attributes={"year": 1995}))
    b'{"item":"318","title":"Se7en","attributes":{"year":1995}}'
    """
    attributes = item.attributes.model_dump(exclude_defaults=True)
    return to_json({"item": item.item, "title": item.title, "attributes": attributes})


def decode_item(value: bytes | None) -> CatalogueItem:
    """Read a catalogue entry from the log.

    Raises
    ------
    InvalidInput
        For anything that is not one, naming the first wrong field, its value and what is allowed.
    """
    parsed = parse(value, InvalidInput)
    known = {name: parsed[name] for name in CatalogueItem.model_fields if name in parsed}
    return validate(CatalogueItem, known, InvalidInput)
