"""Liveness and readiness, as Kubernetes asks for them.

Live: the process answers. Ready: the service can do its work; if not, the answer gives the reasons.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from service.problems import problem, problem_responses

Readiness = Callable[[], Awaitable[list[str]]]
"""Gives the reasons why the service cannot work now, for people; none: it is ready.

Must be bounded in time; Kubernetes gives a probe one second by default.
"""


class Health(BaseModel):
    """An answer of a health probe."""

    status: Literal["live", "ready"]


async def always_ready() -> list[str]:
    """Readiness of a service that depends on nothing."""
    return []


def health_router(readiness: Readiness) -> APIRouter:
    """Build the two probes.

    Parameters
    ----------
    readiness : Readiness
        Asked at every ``/health/ready``.
    """
    router = APIRouter(prefix="/health", tags=["operations"])

    @router.get("/live", summary="Is the process alive?")
    async def live() -> Health:
        """Answer 200 as long as the process can answer at all."""
        return Health(status="live")

    @router.get(
        "/ready",
        summary="Can the service do its work?",
        response_model=Health,
        responses=problem_responses(503),
    )
    async def ready() -> Health | Response:
        """Answer 200, or 503 with the reasons."""
        reasons = await readiness()
        if reasons:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "Not ready: " + "; ".join(reasons))
        return Health(status="ready")

    return router
