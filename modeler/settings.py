"""Settings of ``python -m modeler stream``, and those of Spark that all commands share."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from modeler.keeper_settings import KeeperSettings
from recommender.model_settings import ModelSettings
from recommender.settings import Settings
from service.settings import LogLevel
from storage.settings import KafkaSettings, PostgresSettings, RedisSettings


class SparkSettings(Settings):
    """Spark, for the stream and for batch training."""

    spark_master: str = Field("local[*]", description="Spark's master.")
    spark_driver_memory: str = Field(
        "2g", pattern=r"^\d+[kmgt]$", description="Heap of Spark's driver, e.g. 2g."
    )
    scratch: Path | None = Field(
        None, description="Folder for Spark's scratch files and checkpoint; unset: the system's."
    )


class ModelerSettings(
    ModelSettings, SparkSettings, KeeperSettings, KafkaSettings, PostgresSettings, RedisSettings
):
    """Settings of the streaming modeler; those of the model itself matter when it is made."""

    data: str = Field("", description="Where the ratings come from, in words for people.")
    jars: Path | None = Field(
        None, description="Folder with the jars of Spark's Kafka connector, unset: Spark's own."
    )
    class_archive: Path | None = Field(
        None,
        description="Archive of Java's classes, made by `python -m modeler.class_archive FILE`; "
        "where it is there and fits, Spark starts sooner.",
    )
    max_batch: int = Field(
        10_000, ge=1, description="Records of a micro-batch at most, learned in one block."
    )
    backlog: int = Field(
        100_000,
        ge=1,
        description="Records not yet learned from which on they are a backlog: learned in large "
        "micro-batches, which are cut in blocks.",
    )
    backlog_batch: int = Field(
        1_000_000,
        ge=1,
        description="Records of such a micro-batch at most: bounds its time and memory.",
    )
    blocks: int = Field(
        0,
        ge=0,
        le=256,
        description="Blocks that users, and items, are cut in for a backlog; 0: as many as Spark "
        "has cores.",
    )
    takeover_patience: float = Field(
        20.0, ge=0, description="Seconds to wait for an earlier modeler of the model to be gone."
    )
    modeler_metrics_port: int = Field(
        8083, ge=0, le=65535, description="Port of the modeler's metrics and health; 0: none."
    )
    log_level: LogLevel = Field("info", description="Least severe log line that is written.")
    modeler_host: str = Field(
        "127.0.0.1", description="Address that metrics and health are served on."
    )
