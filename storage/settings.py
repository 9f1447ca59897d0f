"""Where the three stores are, and the names used in them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from recommender.gate_settings import GateSettings
from recommender.settings import PREFIX, Settings

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


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
        # Of more than 0.1 ms librdkafka makes whole milliseconds: its threads sleep no shorter.
        0.00005,
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
    kafka_security_protocol: SecurityProtocol = Field(
        "PLAINTEXT", description="Whether the way to Kafka is encrypted (SSL) and asks for a user."
    )
    kafka_sasl_mechanism: SaslMechanism = Field(
        "SCRAM-SHA-512", description="How user and password are shown to Kafka, with SASL."
    )
    kafka_username: str = Field("", description="User at Kafka; needed with SASL.")
    kafka_password: SecretStr = Field(
        SecretStr(""), description="That user's password at Kafka; needed with SASL."
    )
    kafka_ca: Path | None = Field(
        None,
        description="File with the authority that signs Kafka's certificates, PEM; "
        "unset: the system's.",
    )
    kafka_certificate: Path | None = Field(
        None,
        description="File with our own certificate, PEM, for a Kafka that asks its clients for one "
        "(mTLS).",
    )
    kafka_key: Path | None = Field(
        None, description="File with that certificate's private key, PEM (PKCS #8), not encrypted."
    )

    @model_validator(mode="after")
    def _kafka_certificate_whole(self) -> Self:
        pair = {"KAFKA_CERTIFICATE": self.kafka_certificate, "KAFKA_KEY": self.kafka_key}
        given = [name for name, path in pair.items() if path is not None]
        if len(given) == 1:
            (missing,) = pair.keys() - given
            raise ValueError(
                f"{PREFIX}{given[0]} is set, but {PREFIX}{missing} is not: both or none"
            )
        if given and not self.kafka_security_protocol.endswith("SSL"):
            raise ValueError(
                f"{PREFIX}KAFKA_CERTIFICATE is set, but "
                f"{PREFIX}KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} does not encrypt: "
                "SSL or SASL_SSL"
            )
        return self

    @model_validator(mode="after")
    def _kafka_user_known(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL"):
            given = {
                "KAFKA_USERNAME": self.kafka_username,
                "KAFKA_PASSWORD": self.kafka_password.get_secret_value(),
            }
            for name, value in given.items():
                if not value:
                    raise ValueError(
                        f"{PREFIX}{name} is empty: "
                        f"{PREFIX}KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} needs it"
                    )
        return self


class PostgresSettings(Settings):
    """The truth."""

    postgres_dsn: str = Field(
        "postgresql://localhost:5432/recommender",
        description="Postgres connection string (libpq URI).",
    )
    postgres_timeout: float = Field(
        10.0, gt=0, le=600, description="Seconds to wait for a connection."
    )


class PublishSettings(GateSettings):
    """What it takes to put a model in service, and what is kept of those that served before."""

    keep_models: int = Field(
        1,
        ge=0,
        le=20,
        description="Models that served before and go on learning, ready for a rollback; older "
        "ones are retired. Each costs about as much as the serving model.",
    )


class RedisSettings(Settings):
    """The projection."""

    redis_url: str = Field(
        "redis://localhost:6379/0", description="Redis URL; rediss:// encrypts the way there."
    )
    redis_username: str = Field(
        "", description="ACL user at Redis; unset: the one of the URL, or Redis' default."
    )
    redis_password: SecretStr = Field(
        SecretStr(""), description="That user's password at Redis; unset: the one of the URL."
    )
    redis_ca: Path | None = Field(
        None,
        description="File with the authority that signs Redis' certificate, PEM; "
        "unset: the system's.",
    )
    redis_prefix: str = Field(
        "recommender", min_length=1, max_length=64, description="First part of every Redis key."
    )

    @model_validator(mode="after")
    def _redis_ca_used(self) -> Self:
        if self.redis_ca is not None and urlsplit(self.redis_url).scheme != "rediss":
            # The URL may hold a password: it is not repeated.
            raise ValueError(
                f"{PREFIX}REDIS_CA={self.redis_ca} is set, but {PREFIX}REDIS_URL does not encrypt: "
                "begin it with rediss://"
            )
        return self
