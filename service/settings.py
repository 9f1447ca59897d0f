"""Settings that every HTTP service has; each service adds its address and what else it needs."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

from pydantic import Field

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
    log_level: LogLevel = Field(
        "info", description="Least severe log line written; debug also writes one line per request."
    )

    @property
    @abstractmethod
    def address(self) -> tuple[str, int]:
        """Host and port to listen on; port 0 takes a free one."""
