"""Where the three stores are, and the names used in them."""

from __future__ import annotations

from pydantic import Field

from recommender.settings import Settings


class KafkaSettings(Settings):
    """The rating log."""

    kafka_bootstrap_servers: str = Field(
        "localhost:9092", description="Kafka brokers, host:port, comma separated."
    )
    ratings_topic: str = Field("ratings", description="Topic of ratings; key = user.")
    items_topic: str = Field(
        "items", description="Compacted topic of catalogue entries; key = item."
    )
    dead_letter_topic: str = Field(
        "ratings-dead-letter",
        description="Topic of records that could not be read, with the reason.",
    )
    partitions: int = Field(
        4, ge=1, le=1024, description="Partitions of the ratings topic when it is created."
    )
    replication_factor: int = Field(
        1, ge=1, le=9, description="Replicas of each topic when it is created."
    )
    kafka_delivery_timeout: float = Field(
        5.0,
        ge=0.1,
        le=300,
        allow_inf_nan=False,
        description="Seconds in which Kafka must acknowledge a record; then it is given up.",
    )
    kafka_linger: float = Field(
        0.001,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Seconds that a record waits for others to be sent together with it.",
    )
    kafka_queue: int = Field(
        200_000,
        ge=1000,
        le=10_000_000,
        description="Records that may wait for Kafka's acknowledgement in one process; "
        "beyond it a service answers 503.",
    )


class PostgresSettings(Settings):
    """The truth."""

    postgres_dsn: str = Field(
        "postgresql://localhost:5432/recommender",
        description="Postgres connection string (libpq URI).",
    )
    postgres_timeout: float = Field(
        10.0, gt=0, le=600, description="Seconds to wait for a connection."
    )


class RedisSettings(Settings):
    """The projection."""

    redis_url: str = Field("redis://localhost:6379/0", description="Redis URL.")
    redis_prefix: str = Field(
        "recommender", min_length=1, max_length=64, description="First part of every Redis key."
    )
