"""Settings of the publish gate, apart from what judging needs."""

from __future__ import annotations

from pydantic import Field

from recommender.settings import Settings


class GateSettings(Settings):
    """Settings of the publish gate."""

    gate_margin: float = Field(
        0.01,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share by which a candidate's prequential RMSE may be above that of the "
        "serving model.",
    )
    gate_ratings: int = Field(
        2000,
        ge=1,
        description="Ratings that both models must have tested before the gate is asked.",
    )
    gate_error: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="α: chance that the gate lets a candidate pass that is worse than the margin.",
    )
