"""The shapes of answers: as types for OpenAPI and the tests, and as JSON written directly.

A route returns what `listed` or `answer` has written: checking a model that we have just filled
ourselves would cost more than finding the items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import orjson
from pydantic import BaseModel, Field, JsonValue
from starlette.responses import Response

from predictor.served import Served

DECIMALS = 4
"""Decimals of a score: below any difference that means something, and short to send."""


class AsOf(BaseModel):
    """How far into the log the model had learned when the answer was made."""

    batch: int = Field(description="The last micro-batch learned; 0: none.")
    offsets: dict[str, int] = Field(
        description="Partition to the first offset that has not been learned."
    )
    at: datetime | None = Field(description="When that micro-batch was committed.")


class Answer(BaseModel):
    """What every answer says."""

    model: int | None = Field(description="Number of the model; null: there is none yet.")
    as_of: AsOf
    stale: bool = Field(
        description="Whether the answer comes from memory alone because no store could be asked."
    )


class ListedItem(BaseModel):
    """One item of a list."""

    item: str
    score: float
    title: str | None
    source: str = Field(description="What the score comes from.")


class PredictedItem(ListedItem):
    """A predicted rating."""

    source: Literal["model", "user-bias", "item-bias", "mean"] = Field(
        description="`model`; `user-bias`: the item has no rating; `item-bias`: the user has "
        "none; `mean`: neither has."
    )


class PredictedPair(PredictedItem):
    """A predicted rating of one pair."""

    user: str


class ItemList(Answer):
    """A list of items, best first."""

    source: str
    items: list[ListedItem]


class Predictions(Answer):
    """Predicted ratings, in the order asked for."""

    source: Literal["model", "user-bias", "item-bias", "mean", "mixed"] = Field(
        description="The source of all items; `mixed` where they differ."
    )
    items: list[PredictedItem]


class PairPredictions(Answer):
    """Predicted ratings of pairs, in the order asked for."""

    source: Literal["model", "user-bias", "item-bias", "mean", "mixed"]
    items: list[PredictedPair]


class Recommendations(ItemList):
    """Items to recommend, best first."""

    source: Literal["model", "popular"] = Field(
        description="`popular`: the model does not know the user (or there is no model yet)."
    )


class ItemDescription(Answer):
    """All that is known of one item."""

    item: str
    title: str | None
    attributes: dict[str, JsonValue]
    ratings: int = Field(description="Ratings learned for the item.")
    score: float = Field(description="The rating to expect of an average user: μ + b_y, clipped.")
    source: Literal["item-bias", "mean"]


class Point(BaseModel):
    """Prequential error over consecutive micro-batches: every rating tested, then learned."""

    batch: int = Field(description="The last micro-batch of the stretch.")
    at: datetime
    ratings: int = Field(description="Ratings in the stretch.")
    total_ratings: int = Field(description="Ratings learned by the model up to its end.")
    rmse: float
    mae: float


class Counts(BaseModel):
    """Sizes."""

    users: int = Field(description="Users whom the model knows.")
    items: int = Field(description="Items that can be recommended.")
    ratings: int = Field(description="Ratings learned.")


class ModelDescription(Answer):
    """The serving model."""

    status: str | None
    data: str = Field(description="Where the ratings come from, in words.")
    settings: dict[str, JsonValue]
    counts: Counts
    series: list[Point] = Field(description="Prequential error from the first rating on.")


def answer(served: Served, stale: bool, content: Mapping[str, Any]) -> Response:
    """An answer with what every answer says in front."""
    return Response(
        orjson.dumps(
            {
                "model": served.model,
                "as_of": served.as_of_json,
                "stale": stale,
                **content,
            }
        ),
        media_type="application/json",
    )


def listed(
    served: Served, stale: bool, source: str, items: Sequence[Mapping[str, Any]]
) -> Response:
    """A list; its items as `list_item` makes them."""
    return answer(served, stale, {"source": source, "items": items})


def list_item(served: Served, item: str, score: float, source: str) -> dict[str, Any]:
    """One item of a list."""
    return {
        "item": item,
        "score": round(score, DECIMALS),
        "title": served.catalogue.title(item),
        "source": source,
    }
