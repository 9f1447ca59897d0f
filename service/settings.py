"""Settings that every HTTP service has; each service adds its address and what else it needs."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

from pydantic import Field, SecretStr

from recommender.settings import Settings

LogLevel = Literal["debug", "info", "warning", "error"]


class HttpSettings(Settings):
    """Limits and manners of an HTTP service.

    A service adds ``<service>_host`` and ``<service>_port`` and answers with them in `address`,
    so that several services share one environment (``RECOMMENDER_INGEST_PORT``, ...).
    """

    http_max_body: int = Field(
        4 * 2**20,
        ge=1024,
        le=2**30,
        description="Largest request body accepted, bytes; more is 413.",
    )
    http_shutdown_timeout: int = Field(
        10, ge=0, le=600, description="Seconds that running requests may still take after SIGTERM."
    )
    http_api_keys: SecretStr | None = Field(
        None,
        description="Keys, separated by commas, one of which a request that writes must bring "
        "(`Authorization: Bearer KEY` or `X-API-Key: KEY`); unset: everybody may write.",
    )
    http_cors_origins: str = Field(
        "",
        description="Origins, separated by commas, whose pages may use the service from a browser "
        "(`https://shop.example`, or `*`); unset: none but its own.",
    )
    log_level: LogLevel = Field(
        "info", description="Least severe log line written; debug also writes one line per request."
    )

    @property
    def api_key(self) -> str | None:
        """The first of the keys: what this service itself brings when it writes to another."""
        keys = self.http_api_keys.get_secret_value() if self.http_api_keys else ""
        return keys.partition(",")[0].strip() or None

    @property
    def workers(self) -> int:
        """Processes that serve."""
        return 1

    @property
    @abstractmethod
    def address(self) -> tuple[str, int]:
        """Host and port to listen on; port 0 takes a free one."""
