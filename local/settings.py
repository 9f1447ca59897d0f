"""Settings of the embedded stack."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from recommender.settings import Settings


class LocalSettings(Settings):
    """What ``python -m local run`` starts, with which data, and where it keeps its state."""

    state: Path = Field(
        Path(__file__).parent.parent / ".state",
        description="Folder of everything that a local run keeps.",
    )
    dataset: Path | None = Field(
        None,
        description="Data to load: a MovieLens zip or folder, or a CSV with user, item, rating and "
        "optionally timestamp. Unset: the copy in the data folder, else MovieLens, else generated.",
    )
    rate: float = Field(1000.0, gt=0, le=1e6, description="Ratings per second that are streamed.")
    backlog: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the data, the older part, that is learned before serving; what the "
        "first start of a state folder was given holds.",
    )
    frontend_port: int = Field(8080, ge=1, le=65535, description="Port of the web pages.")
    ingest_port: int = Field(8081, ge=1, le=65535, description="Port of the ingest service.")
    predictor_port: int = Field(8082, ge=1, le=65535, description="Port of the predictor.")
    maven_repository: str = Field(
        "", description="Maven repository to fetch jars from; unset: Maven Central."
    )
