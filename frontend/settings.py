"""The settings of the frontend."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import AnyHttpUrl, Field, SecretStr, model_validator

from recommender.settings import PREFIX, ScaleSettings
from service.settings import HttpSettings


class FrontendSettings(HttpSettings, ScaleSettings):
    """Where the pages are served, where the two services are, and what is kept between starts."""

    frontend_host: str = Field("127.0.0.1", description="Address that the pages are served on.")
    frontend_port: int = Field(
        8080, ge=0, le=65535, description="Port that the pages are served on."
    )
    ingest_url: AnyHttpUrl = Field(
        AnyHttpUrl("http://127.0.0.1:8081"), description="Where the ingest service answers."
    )
    predictor_url: AnyHttpUrl = Field(
        AnyHttpUrl("http://127.0.0.1:8082"), description="Where the predictor answers."
    )
    frontend_state: Path = Field(
        Path(".state/frontend"),
        description="Folder of what the frontend keeps: who each visitor is, the cookies' secret.",
    )
    frontend_storage_secret: SecretStr | None = Field(
        None,
        description="Secret that signs the visitors' cookies, the same on every replica; "
        "made at the first start and kept in the state folder when it is not set.",
    )
    frontend_refresh_seconds: float = Field(
        2.0,
        ge=0.25,
        le=60,
        allow_inf_nan=False,
        description="Seconds between two readings of the predictor's /model for all open pages.",
    )

    @model_validator(mode="after")
    def _secret_long_enough(self) -> Self:
        # Not a constraint of the field: its error would repeat the secret.
        secret = self.frontend_storage_secret
        if secret is not None and len(secret.get_secret_value()) < 16:
            raise ValueError(
                f"{PREFIX}FRONTEND_STORAGE_SECRET is too short: at least 16 characters are needed"
            )
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return self.frontend_host, self.frontend_port
