"""Settings of what the modeler does by itself with models, beside the learning."""

from __future__ import annotations

from pydantic import Field

from recommender.drift import DriftSettings
from recommender.race import RaceSettings
from storage.settings import PublishSettings


class KeeperSettings(PublishSettings, DriftSettings, RaceSettings):
    """Settings of the modeler's keeper: gate, drift, race and refits."""

    keeper_seconds: float = Field(
        5.0, gt=0, le=3600, description="Seconds between two looks at models and their losses."
    )
    keeper_stretch: int = Field(
        500,
        ge=1,
        description="Ratings of consecutive micro-batches whose losses drift test and race take "
        "as one: those of a single live micro-batch say little.",
    )
    promote_refits: bool = Field(
        False, description="Whether a refit that passes the gate is put in service by itself."
    )
    promote_race_leader: bool = Field(
        False, description="Whether a race's leader that passes the gate is put in service."
    )
    refit_every: float = Field(
        0.0,
        ge=0,
        le=8760,
        allow_inf_nan=False,
        description="Hours from refit to refit, as a child of the modeler; 0: none by itself (a "
        "deployment has a CronJob).",
    )
    refit_on_drift: bool = Field(
        False, description="Whether a drift that was noticed starts a refit, too."
    )
