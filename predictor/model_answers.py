"""The shapes of answers about models, for OpenAPI; `storage.models.Judged` fills them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from predictor.answers import AsOf


class Prequential(BaseModel):
    """Errors on the latest ratings that this model and the serving one have tested."""

    ratings: int = Field(description="How many they were.")
    rmse: float | None = Field(description="This model's; null without a rating.")
    rmse_serving: float | None = Field(description="The serving model's, of the same ratings.")


class Gate(BaseModel):
    """What the publish gate says."""

    state: Literal["passed", "waiting", "failed", "none"] = Field(
        description="`none`: only candidates are judged."
    )
    reason: str = Field(description="In words, with figures.")


class AsOfAll(BaseModel):
    """What every answer about models says."""

    as_of: AsOf = Field(
        description="How far the serving model has learned; models that learn are as far."
    )


class Described(BaseModel):
    """One model."""

    model: int
    status: Literal["training", "candidate", "serving", "retired"]
    parent: int | None = Field(description="The model that served, or was copied, when made.")
    created_at: datetime
    served_at: datetime | None = Field(description="When it last began to serve.")
    retired_at: datetime | None
    joined: int = Field(description="The micro-batch after which it learns with the stream.")
    settings: dict[str, JsonValue]
    data: str = Field(description="Where the ratings come from, in words.")
    ratings: int = Field(description="Learned, those of its training included.")
    trained_to: dict[str, JsonValue] = Field(
        description="Offsets of the snapshot that it was trained from, by topic and partition."
    )
    metrics: dict[str, JsonValue] = Field(
        description="Of its training: `rmse`, `mae`, `ndcg@10` of its validation part, ..."
    )
    prequential: Prequential
    gate: Gate
    reason: str = Field(description="Why it has its status.")


class ModelVersion(Described, AsOfAll):
    """One model, by itself."""


class ModelList(AsOfAll):
    """All models, the latest first."""

    models: list[Described]


class Promotion(BaseModel):
    """How to promote."""

    model_config = ConfigDict(extra="forbid")

    force: bool = Field(False, description="Whatever the gate says.", strict=True)


class CurvePoint(BaseModel):
    """A place on a contestant's curve."""

    ratings: int = Field(description="Learned since the race began.")
    rmse: float = Field(description="Faded: what is long past counts less.")


class Contestant(BaseModel):
    """A model in a race."""

    model: int
    status: str
    settings: dict[str, JsonValue] = Field(description="Those that contestants differ in.")
    ratings: int = Field(description="Tested since the race began.")
    rmse: float | None = Field(description="Over them; null without a rating.")
    curve: list[CurvePoint] = Field(description="At most 100 points, the earliest first.")


class Out(BaseModel):
    """A model that was taken out of a race."""

    model: int
    reason: str
    curve: list[CurvePoint] = Field(description="Until it was taken out.")


class Cost(BaseModel):
    """What a race costs."""

    copies: int = Field(description="Models that learn beside the serving one for the race.")
    width: int | None = Field(description="Contestants at most, the serving model included.")
    rows: int = Field(description="Of the copies, as Postgres estimates them.")
    share: float = Field(description="Of all models that learn: about that of a micro-batch.")


class RaceDescription(AsOfAll):
    """The race that is going on, or the last one."""

    race: int | None = Field(description="Null: none has been run.")
    state: Literal["none", "running", "ended"]
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = Field("", description="How it stands, or why it ended.")
    contestants: list[Contestant] = Field(description="The best first.")
    out: list[Out]
    cost: Cost | None = None
