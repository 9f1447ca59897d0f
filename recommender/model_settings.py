"""The settings of a model: ranks, steps, seed. Stored with it, the same words everywhere."""

from __future__ import annotations

from pydantic import Field

from recommender.ranking_head import RankingStep
from recommender.rating_head import Step, scale_unit
from recommender.rows import RowFormat
from recommender.settings import ScaleSettings

# A micro-batch of one rating has no other item to draw negatives from: measured, docs/model.md.
_FEWEST_CANDIDATES = 64


class ModelSettings(ScaleSettings):
    """What defines a model before it has seen a rating.

    The defaults were measured on a validation part of MovieLens's training rows, in file order and
    in order of time, in micro-batches of 100 to 20,000 (docs/model.md).
    """

    rank: int = Field(32, ge=1, le=512, description="Factors of the rating head.")
    learning_rate: float = Field(
        0.55, gt=0, le=2, description="γ: step of the rating head's factors."
    )
    bias_learning_rate: float = Field(0.1, gt=0, le=2, description="Step of the biases.")
    regularization: float = Field(0.11, ge=0, le=1, description="λ of the rating head.")
    decay: float = Field(
        0.5,
        ge=0,
        le=1,
        description="p: a row's step shrinks as 1/(1+n)^p with the n ratings it has seen.",
    )
    passes: int = Field(
        3,
        ge=1,
        le=50,
        description="Times a micro-batch is gone through; the first is the prequential one.",
    )
    initial_scale: float = Field(
        0.2,
        ge=0,
        le=2,
        description="Length of a new row's vector of factors: each ~ N(0, scale²/rank).",
    )
    replay: int = Field(
        3, ge=0, le=100, description="Earlier ratings that are learned again for each new one."
    )
    replay_limit: int = Field(
        10_000,
        ge=0,
        le=10_000_000,
        description="Replayed ratings of a micro-batch at most: bounds its cost.",
    )
    ranking_rank: int = Field(
        64, ge=0, le=512, description="Factors of the ranking head; 0 switches it off."
    )
    ranking_learning_rate: float = Field(
        0.07, gt=0, le=2, description="Step of the ranking head (Adagrad)."
    )
    ranking_regularization: float = Field(
        0.02, ge=0, le=1, description="λ of the ranking head, on the user and the rated item."
    )
    negatives: int = Field(
        16, ge=1, le=1000, description="Items drawn for each rating as not rated, ranking head."
    )
    negative_weight: float = Field(
        1.2, ge=0, le=10, description="Weight of such an item beside a high rating's 1."
    )
    seed: int = Field(42, ge=0, lt=2**63, description="Seed of everything random.")

    @property
    def step(self) -> Step:
        """The rating head's step."""
        return Step(
            learning_rate=self.learning_rate,
            bias_learning_rate=self.bias_learning_rate,
            regularization=self.regularization,
            decay=self.decay,
            low=self.rating_min,
            high=self.rating_max,
        )

    @property
    def ranking_step(self) -> RankingStep:
        """The ranking head's step."""
        return RankingStep(
            learning_rate=self.ranking_learning_rate,
            regularization=self.ranking_regularization,
            negatives=self.negatives,
            negative_weight=self.negative_weight,
        )

    def replayed(self, new: int) -> int:
        """Earlier ratings to be learned again with so many new ones."""
        return min(self.replay * new, self.replay_limit)

    def sample_size(self, new: int) -> int:
        """Earlier ratings to be drawn with so many new ones: those replayed, and for the ranking
        head never fewer than it wants items to tell the rated ones from."""
        return max(self.replayed(new), _FEWEST_CANDIDATES if self.ranking_rank and new else 0)

    @property
    def format(self) -> RowFormat:
        """The layout of this model's rows."""
        return RowFormat(rank=self.rank, ranking_rank=self.ranking_rank)

    @property
    def factor_scale(self) -> float:
        """Standard deviation of a new row's factors of the rating head, in √(rating units)."""
        return float(
            self.initial_scale * (scale_unit(self.rating_min, self.rating_max) / self.rank) ** 0.5
        )

    @property
    def ranking_scale(self) -> float:
        """Standard deviation of a new row's factors of the ranking head: 0.1/√k."""
        return float(0.1 / max(self.ranking_rank, 1) ** 0.5)

    @property
    def middle(self) -> float:
        """Half the scale."""
        return (self.rating_min + self.rating_max) / 2
