"""A small service with a route for everything that can happen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import pytest
from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient

from recommender.errors import InvalidInput, Unavailable
from service.app import create_app
from service.settings import HttpSettings


class ExampleSettings(HttpSettings):
    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", 0


class Reasons:
    """Why the example service is not ready."""

    def __init__(self) -> None:
        self.given: list[str] = []

    async def __call__(self) -> list[str]:
        return self.given


def example_router() -> APIRouter:
    router = APIRouter()

    @router.get("/things/{thing}")
    async def thing(thing: str, n: Annotated[int, Query(le=10)] = 1) -> dict[str, str | int]:
        return {"thing": thing, "n": n}

    @router.post("/things")
    async def things(body: dict[str, float]) -> int:
        return len(body)

    @router.get("/wrong")
    async def wrong() -> None:
        raise InvalidInput("rating\ud800", float("nan"), "a number")

    @router.get("/away")
    async def away() -> None:
        raise Unavailable("Redis", "connection refused")

    @router.get("/broken")
    async def broken() -> None:
        raise RuntimeError("the secret is 1234")

    @router.get("/half")
    async def half() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            yield b"first"
            raise RuntimeError("the secret is 1234")

        return StreamingResponse(parts())

    return router


@pytest.fixture
def reasons() -> Reasons:
    return Reasons()


@pytest.fixture
def client(reasons: Reasons) -> TestClient:
    settings = ExampleSettings(http_max_body=1024)
    app = create_app("Example", settings, routers=[example_router()], readiness=reasons)
    return TestClient(app)
