"""The shapes of answers: as types for OpenAPI and the tests, and as JSON written directly.

A route returns what `listed` or `answer` has written: checking a model that we have just filled
ourselves would cost more than finding the items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import orjson
from pydantic import BaseModel, Field, JsonValue
from starlette.responses import Response

from predictor.served import Served

PredictionSource = Literal["model", "content", "user-bias", "item-bias", "mean"]

RecommendationSource = Literal[
    "model",
    "fold-in",
    "similar",
    "content",
    "trending",
    "popular",
    "hybrid",
    "exploration",
    "rated",
]

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


class Reason(BaseModel):
    """One of a person's ratings, or an item looked at, that a score comes from."""

    item: str
    title: str | None
    rating: float | None = Field(description="The person's rating; null for an item looked at.")
    part: str = Field(description="Name of the part of the score that it adds to.")
    contribution: float = Field(description="What it adds to the score.")
    share: float = Field(description="The contribution in parts of that part.")


class Others(BaseModel):
    """The ratings that are not listed one by one."""

    count: int
    contribution: float = Field(description="What they add to the score, all together.")


class Explanation(BaseModel):
    """Why an item is in a list."""

    parts: dict[str, float] = Field(description="What the score adds up from.")
    why: list[Reason] = Field(description="What contributes most, the highest first.")
    others: Others


class RecommendedItem(ListedItem):
    """A recommended item."""

    source: RecommendationSource
    explanation: Explanation | None = Field(None, description="Where `explain` is true.")


class RatingParts(BaseModel):
    """What a predicted rating adds up from."""

    mean: float = Field(description="μ, the mean of all ratings.")
    user_bias: float
    item_bias: float
    taste: float = Field(description="U · P.")


class PredictedItem(ListedItem):
    """A predicted rating."""

    source: PredictionSource = Field(
        description="`model`; `content`: the item has no rating, its attributes speak for it; "
        "`user-bias`: nothing is known of the item; `item-bias`: the user has no rating; `mean`: "
        "neither."
    )
    parts: RatingParts | None = Field(None, description="Where `explain` is true.")
    unclipped: float | None = Field(
        None, description="Sum of the parts, before clipping to the scale; where `explain` is true."
    )


class PredictedPair(PredictedItem):
    """A predicted rating of one pair."""

    user: str


class ItemList(Answer):
    """A list of items, best first."""

    source: str = Field(description="The source of all items; `mixed` where they differ.")
    items: list[ListedItem]


class Predictions(Answer):
    """Predicted ratings, in the order asked for."""

    source: PredictionSource | Literal["mixed"]
    items: list[PredictedItem]


class PairPredictions(Answer):
    """Predicted ratings of pairs, in the order asked for."""

    source: PredictionSource | Literal["mixed"]
    items: list[PredictedPair]


class Recommendations(Answer):
    """Items to recommend, best first."""

    source: RecommendationSource | Literal["mixed", "none"] = Field(
        description="The source of all items; `mixed` where they differ, `none` without any."
    )
    items: list[RecommendedItem]


class UserRecommendations(BaseModel):
    """One user's list."""

    user: str
    source: RecommendationSource | Literal["mixed", "none"]
    items: list[RecommendedItem]


class RecommendationLists(Answer):
    """Lists of several users, in the order asked for."""

    lists: list[UserRecommendations]


class SurprisingItem(ListedItem):
    """A rated item, and what was expected."""

    rating: float
    predicted: float = Field(description="r̂ as of now, clipped to the scale.")


class SurprisingItems(Answer):
    """A user's ratings that differ most from what is expected; the score is the difference."""

    source: Literal["surprise"]
    items: list[SurprisingItem]


class Ids(Answer):
    """Ids in order, a page at a time."""

    ids: list[str]
    cursor: str | None = Field(
        description="Ask with `after` of this for the following ones; null: there are none."
    )


class UserDescription(Answer):
    """What is known of one user."""

    user: str
    ratings: int = Field(description="Ratings learned from the user.")
    bias: float = Field(description="b_x: by how much the user rates higher than others.")
    mean_rating: float | None = Field(description="Of the latest rating of each item.")
    rated_items: int
    source: Literal["model", "none"] = Field(description="`none`: the model has not met the user.")


class ListedUser(BaseModel):
    """One user of a list."""

    user: str
    score: float
    ratings: int = Field(description="Ratings learned from the user.")


class UserList(Answer):
    """A list of users."""

    source: Literal["factors", "activity"]
    users: list[ListedUser]


class ItemDescription(Answer):
    """All that is known of one item."""

    item: str
    title: str | None
    attributes: dict[str, JsonValue]
    ratings: int = Field(description="Ratings learned for the item.")
    available: bool = Field(description="False: withdrawn, never recommended.")
    score: float = Field(description="The rating to expect of an average user: μ + b_y, clipped.")
    source: Literal["item-bias", "content", "mean"]


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


class DriftNoticed(BaseModel):
    """The last time that the loss left its usual band."""

    batch: int = Field(description="The micro-batch at which it was noticed.")
    at: datetime
    usual: float = Field(description="Mean squared error before.")
    deviation: float = Field(description="Its standard deviation.")
    loss: float = Field(description="Mean squared error at that micro-batch.")


class ModelDescription(Answer):
    """The serving model."""

    status: str | None
    data: str = Field(description="Where the ratings come from, in words.")
    settings: dict[str, JsonValue]
    counts: Counts
    lag: int | None = Field(
        description="Records in the log that had not been learned when the modeler told last, some "
        "seconds ago at most; null: it does not tell."
    )
    series: list[Point] = Field(description="Prequential error from the first rating on.")
    drift: DriftNoticed | None = Field(description="Null: none has been noticed.")


class Placed(Protocol):
    """An item of a list by its position."""

    @property
    def position(self) -> int:
        """In the item table."""

    @property
    def score(self) -> float:
        """What it is listed by."""

    @property
    def source(self) -> str:
        """What the score comes from."""


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
    return _item(item, score, served.catalogue.title(item), source)


def item_at(served: Served, position: int, score: float, source: str) -> dict[str, Any]:
    """The same of the item at a position, which need not be looked up."""
    return _item(served.items.ids[position], score, served.catalogue.title_at(position), source)


def items_at(served: Served, found: Sequence[Placed]) -> list[dict[str, Any]]:
    """The same of several items."""
    named = served.catalogue.named([one.position for one in found])
    return [
        _item(item, one.score, title, one.source)
        for (item, title), one in zip(named, found, strict=True)
    ]


def _item(item: str, score: float, title: str | None, source: str) -> dict[str, Any]:
    return {"item": item, "score": round(score, DECIMALS), "title": title, "source": source}


def common_source(items: Sequence[Mapping[str, Any]]) -> str:
    """The source of a whole list: that of its items, ``mixed``, or ``none``."""
    sources = {item["source"] for item in items}
    return "none" if not sources else sources.pop() if len(sources) == 1 else "mixed"
