"""API keys, CORS, ETag and gzip, traces."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from service.app import create_app
from service.traces import PERSONAL, trace
from tests.unit.service.conftest import ExampleSettings

KEYS = " first-key , second-key"


def app(writes: bool = True, **settings: Any) -> FastAPI:
    routes = APIRouter()

    @routes.get("/things/{thing}")
    async def thing(thing: str) -> dict[str, str]:
        return {"thing": thing * 1000}

    @routes.post("/things")
    async def things(body: dict[str, float]) -> int:
        return len(body)

    return create_app("Example", ExampleSettings(**settings), routers=[routes], writes=writes)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer first-key"}, 200),
        ({"authorization": "bearer second-key"}, 200),
        ({"X-API-Key": "second-key"}, 200),
        ({"X-API-Key": "first-key , second-key"}, 401),
        ({"X-API-Key": ""}, 401),
        ({"Authorization": "Basic first-key"}, 401),
        ({"Authorization": "first-key"}, 401),
    ],
)
def test_writing_takes_a_key_where_keys_are_set(headers: dict[str, str], status: int) -> None:
    client = TestClient(app(http_api_keys=KEYS))
    answer = client.post("/things", json={"a": 1}, headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["x-request-id"]


def test_reading_takes_none_and_neither_does_a_service_that_only_reads() -> None:
    client = TestClient(app(http_api_keys=KEYS))
    assert client.get("/things/1").status_code == 200
    assert client.get("/health/live").status_code == 200
    reading = TestClient(app(writes=False, http_api_keys=KEYS))
    assert reading.post("/things", json={"a": 1}).status_code == 200
    assert TestClient(app()).post("/things", json={"a": 1}).status_code == 200
    assert TestClient(app(http_api_keys=" , ")).post("/things", json={}).status_code == 200


def test_a_key_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        built = app(http_api_keys=KEYS)
        TestClient(built).post("/things", json={}, headers={"X-API-Key": "third-key"})
    assert "-key" not in caplog.text.replace("x-api-key", "")
    assert "first-key" not in repr(built.state.settings)


def test_openapi_tells_of_keys() -> None:
    described = TestClient(app()).get("/openapi.json").json()
    assert "401" in described["paths"]["/things"]["post"]["responses"]
    assert "401" not in described["paths"]["/things/{thing}"]["get"]["responses"]
    assert described["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_pages_of_named_origins_may_ask_and_read_errors() -> None:
    shop = "https://shop.example"
    client = TestClient(app(http_cors_origins=f"{shop}, https://b.example", http_api_keys=KEYS))
    asked = {"Origin": shop, "Access-Control-Request-Method": "POST"}
    answer = client.options("/things", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == shop
    refused = client.post("/things", json={}, headers={"Origin": shop})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == shop
    other = client.get("/things/1", headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers
    none = TestClient(app()).get("/things/1", headers={"Origin": shop})
    assert "access-control-allow-origin" not in none.headers


def test_who_has_an_answer_is_told_so() -> None:
    client = TestClient(app())
    first = client.get("/things/1")
    tag = first.headers["etag"]
    again = client.get("/things/1", headers={"If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert client.get("/things/2", headers={"If-None-Match": tag}).status_code == 200
    assert "etag" not in client.get("/nothing").headers
    assert "etag" not in client.post("/things", json={}).headers


def test_large_answers_are_compressed_for_those_who_understand_it() -> None:
    client = TestClient(app())
    plain = client.get("/things/12345", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    packed = client.get("/things/12345", headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert packed.headers["etag"] == plain.headers["etag"]
    assert int(packed.headers["content-length"]) < len(plain.content) / 10
    assert packed.json() == plain.json()
    assert "content-encoding" not in client.get("/things/1").headers


def test_spans_name_the_route_and_nobody() -> None:
    exporter = InMemorySpanExporter()
    traced = app()
    trace(traced, "Example", SimpleSpanProcessor(exporter))
    client = TestClient(traced)
    client.get("/things/alice?secret=1")
    client.get("/health/live")
    (span,) = exporter.get_finished_spans()
    assert span.name == "GET /things/{thing}"
    assert span.resource.attributes["service.name"] == "example"
    assert span.attributes is not None
    assert not set(PERSONAL) & set(span.attributes)
    assert "alice" not in span.to_json()
    assert "secret" not in span.to_json()


def test_routes_of_several_routers_are_one_list_with_the_errors_of_all() -> None:
    first, second = APIRouter(prefix="/things", tags=["reading"]), APIRouter()

    @first.get("/{thing}", responses={418: {"description": "A teapot"}})
    async def read(thing: str) -> str:
        return thing

    @second.put("/things/{thing}")
    async def write(thing: str) -> str:
        return thing.upper()

    made = create_app("Example", ExampleSettings(), routers=[first, second])
    client = TestClient(made)
    assert client.get("/things/a").json() == "a"
    assert client.put("/things/a").json() == "A"  # of another router, with the same path
    assert client.post("/things/a").status_code == 405
    described = made.openapi()["paths"]["/things/{thing}"]
    assert set(described["get"]["responses"]) == {"200", "404", "418", "422", "500"}
    assert set(described["put"]["responses"]) == {"200", "404", "422", "500"}
    assert described["get"]["tags"] == ["reading"]
    assert 'route="/things/{thing}"' in client.get("/metrics").text
    # The routers themselves are as they were, to be used by another application.
    assert [list(route.responses) for route in first.routes if isinstance(route, APIRoute)] == [
        [418]
    ]
