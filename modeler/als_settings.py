"""Settings of Spark's ALS; apart from it, so that reading them starts no Spark."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from recommender.settings import Settings


class AlsSettings(Settings):
    """Settings of Spark's ALS; the names are MLlib's."""

    als_rank: int = Field(20, ge=1, le=512, description="Factors of explicit ALS.")
    als_max_iter: int = Field(10, ge=1, le=200, description="Iterations of explicit ALS.")
    als_reg_param: float = Field(
        0.15, ge=0, le=100, description="λ of explicit ALS, times a row's number of ratings."
    )
    als_cold_start_strategy: Literal["drop", "nan"] = Field(
        "drop",
        description="What explicit ALS predicts where user or item is not in its ratings; `drop`: "
        "nothing, and such a pair gets the mean rating; `nan`: NaN, and so are the errors over all "
        "pairs and over cold ones, while those over warm pairs stay.",
    )


class ImplicitAlsSettings(Settings):
    """Settings of Spark's ALS over implicit preferences."""

    als_implicit_rank: int = Field(64, ge=1, le=512, description="Factors of implicit ALS.")
    als_implicit_max_iter: int = Field(10, ge=1, le=200, description="Iterations of implicit ALS.")
    als_implicit_reg_param: float = Field(
        0.3, ge=0, le=100, description="λ of implicit ALS, times a row's number of ratings."
    )
    als_alpha: float = Field(
        1.0, gt=0, le=10_000, description="α of implicit ALS: confidence 1 + α · rating."
    )
