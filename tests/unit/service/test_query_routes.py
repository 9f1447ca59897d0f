"""A query that is read in one go means what it means to FastAPI, and so do its errors."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from service.queries import QueryRoute, RequestRoute


class Asked(BaseModel):
    """A query with every kind of field that ours have."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    user: str = Field(min_length=1, description="Whom for.")
    n: int = Field(10, ge=1, le=100)
    share: float = 0.5
    explain: bool = False
    how: Literal["model", "popular"] = "model"
    after: str | None = Field(None, pattern=r"^[0-9]+:[0-9]+$")
    genre: list[Annotated[str, Field(max_length=5)]] = Field([], max_length=2)
    optional: list[int] | None = None


def app(route_class: type) -> FastAPI:
    router = APIRouter(route_class=route_class)

    @router.get("/asked")
    async def asked(wanted: Annotated[Asked, Query()]) -> Response:
        return JSONResponse(wanted.model_dump())

    @router.get("/items/{item}")
    async def item(item: str, n: int = 3) -> dict[str, object]:
        return {"item": item, "n": n}

    built = FastAPI()
    built.include_router(router)
    return built


QUERIES = [
    "user=alice",
    "user=alice&n=7&share=0.25&explain=true&how=popular&after=0:5&genre=a&genre=b&optional=1",
    "user=a&user=b&n=1&n=2",
    "user=%C3%A9%20+%26",
    "user=%FF",
    "user=a&genre=&after=0:1",
    "",
    "user=",
    "user=a&n=&explain=perhaps&share=nan&how=x",
    "user=a&n=101&after=1&genre=toolong&genre=b&genre=c&optional=x",
    "user=a&unknown=1&unknown=2",
    "n=1.5",
    "user",
    "&&user=a&",
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_means_what_it_means_to_fastapi(query: str) -> None:
    usual, ours = (TestClient(app(kind)).get(f"/asked?{query}") for kind in (APIRoute, QueryRoute))
    assert (ours.status_code, ours.json()) == (usual.status_code, usual.json())


def test_openapi_is_the_same() -> None:
    assert app(QueryRoute).openapi() == app(APIRoute).openapi()


def test_other_routes_are_left_alone() -> None:
    assert TestClient(app(QueryRoute)).get("/items/x?n=2").json() == {"item": "x", "n": 2}


@pytest.mark.parametrize("route_class", [RequestRoute, APIRoute])
def test_an_endpoint_of_the_request_alone_is_answered_as_by_fastapi(route_class: type) -> None:
    router = APIRouter(route_class=route_class)

    @router.post("/echo", status_code=202)
    async def echo(request: Request) -> Response:
        return Response(await request.body(), status_code=202)

    @router.get("/items/{item}")
    async def item(request: Request, item: str) -> dict[str, object]:
        return {"item": item, "path": request.url.path}

    built = FastAPI()
    built.include_router(router)
    client = TestClient(built)

    answered = client.post("/echo", content=b"any bytes")
    assert (answered.status_code, answered.content) == (202, b"any bytes")
    assert client.get("/items/a").json() == {"item": "a", "path": "/items/a"}
    assert client.get("/echo").status_code == 405
