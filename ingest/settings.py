"""The settings of ingest."""

from __future__ import annotations

from pydantic import Field

from recommender.settings import ScaleSettings
from service.settings import HttpSettings
from storage.settings import KafkaSettings


class IngestSettings(HttpSettings, ScaleSettings, KafkaSettings):
    """Where ingest listens, and how much it takes at once."""

    ingest_host: str = Field("127.0.0.1", description="Address that ingest listens on.")
    ingest_port: int = Field(8081, ge=0, le=65535, description="Port that ingest listens on.")
    ingest_max_records: int = Field(
        10_000, ge=1, le=1_000_000, description="Ratings or items accepted in one request."
    )

    ingest_max_upload: int = Field(
        2**30,
        ge=1024,
        le=2**40,
        description="Largest bulk upload, bytes; memory does not grow with it.",
    )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return self.ingest_host, self.ingest_port
