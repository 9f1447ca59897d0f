"""The predictor's settings."""

from __future__ import annotations

import os

from pydantic import Field, field_validator

from predictor.trending import TRENDING_HALF_LIFE
from recommender.settings import ScaleSettings
from service.settings import HttpSettings
from storage.settings import KafkaSettings, PostgresSettings, PublishSettings, RedisSettings


class PredictorSettings(
    HttpSettings, PostgresSettings, RedisSettings, PublishSettings, ScaleSettings
):
    """The predictor's settings; the scale holds until a model is there, which brings its own."""

    predictor_host: str = Field("127.0.0.1", description="Address that the predictor listens on.")
    predictor_port: int = Field(8082, ge=0, le=65535, description="Port of the predictor.")
    ratings_topic: str = Field(
        KafkaSettings.model_fields["ratings_topic"].default,
        description="Topic of ratings; the offsets in answers are those of its partitions.",
    )
    ready_after: int = Field(
        0, ge=0, description="Ratings that the model must have learned before serving is ready."
    )
    wait_timeout: float = Field(
        5.0,
        gt=0,
        le=60,
        description="Seconds that a request with `after` waits for its record to be learned.",
    )
    redis_timeout: float = Field(
        0.5, gt=0, le=60, description="Seconds that the predictor waits for an answer of Redis."
    )
    statement_timeout: float = Field(
        5.0,
        gt=0,
        le=600,
        description="Seconds that one Postgres statement of the predictor may take.",
    )
    postgres_connections: int = Field(
        4, ge=1, le=100, description="Postgres connections that a predictor process opens at most."
    )
    refresh_seconds: float = Field(
        1.0,
        gt=0,
        le=600,
        description="Seconds between readings from Postgres while Redis is away.",
    )
    idle_seconds: float = Field(
        5.0,
        gt=0,
        le=30,
        description="Seconds without a change until Postgres is asked whether Redis is behind.",
    )
    trending_half_life: int = Field(
        TRENDING_HALF_LIFE,
        ge=1,
        le=10_000_000,
        description="Ratings of all items after which a rating counts half for what is trending.",
    )
    neighbour_users: int = Field(
        20_000,
        ge=1,
        le=1_000_000,
        description="Users, those who rated last, among whom similar ones are looked for.",
    )
    remembered_users: int = Field(
        10_000,
        ge=0,
        description="Users kept in memory: asked for again they cost no store, "
        "and they are answered for while both stores are away.",
    )

    predictor_workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that serve from one copy of the item side in shared memory; Linux.",
    )

    @field_validator("predictor_workers")
    @classmethod
    def _shares_memory(cls, workers: int) -> int:
        if workers > 1 and not hasattr(os, "memfd_create"):
            raise ValueError("several workers share memory as only Linux has it; 1 is allowed here")
        return workers

    @property
    def workers(self) -> int:
        """Processes that serve."""
        return self.predictor_workers

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return self.predictor_host, self.predictor_port
