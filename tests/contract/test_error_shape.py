"""Every error of every service has the one shape, and OpenAPI says so.

The services run without their stores, so that 503 can be seen, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import ingest.app
import predictor.app
from ingest.settings import IngestSettings
from predictor.settings import PredictorSettings
from storage.log import Position, Record
from tests.fakes.rating_log import FakeLog

MAX_BODY = 2048
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOWHERE = "127.0.0.1:1"


def ingest_app() -> FastAPI:
    app = ingest.app.build(IngestSettings(http_max_body=MAX_BODY, ingest_max_upload=MAX_BODY))
    app.state.log = FakeLog()
    app.state.log.away = True
    return app


def predictor_app() -> FastAPI:
    return predictor.app.build(
        PredictorSettings(
            http_max_body=MAX_BODY,
            postgres_dsn=f"postgresql://{NOWHERE}/none",
            redis_url=f"redis://{NOWHERE}/0",
        )
    )


@pytest.fixture(params=[ingest_app, predictor_app], ids=["ingest", "predictor"])
def client(request: pytest.FixtureRequest) -> TestClient:
    build: Callable[[], FastAPI] = request.param
    return TestClient(build())


def operations(client: TestClient) -> list[tuple[str, str, dict[str, Any]]]:
    """Path with its parameters filled in, method, and description of each operation."""
    paths = client.get("/openapi.json").json()["paths"]
    return [
        (re.sub(r"\{\w+\}", "1", path), method.upper(), described)
        for path, methods in paths.items()
        for method, described in methods.items()
    ]


def check(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["X-Request-ID"]
    content: dict[str, Any] = answer.json()
    assert set(content) - {"errors"} == {"type", "title", "status", "detail"}
    assert content["status"] == status
    for error in content.get("errors", []):
        assert set(error) == {"field", "value", "allowed"}
        assert error["field"]
        assert error["allowed"]
    assert "Traceback" not in answer.text
    return content


def test_an_unknown_address_is_404(client: TestClient) -> None:
    for method in METHODS:
        check(client.request(method, "/no/such/address"), 404)


def test_a_method_that_an_address_does_not_know_is_405(client: TestClient) -> None:
    known: dict[str, set[str]] = {}
    for path, method, _ in operations(client):
        known.setdefault(path, set()).add(method)
    assert known
    for path, methods in known.items():
        for method in set(METHODS) - methods:
            answer = client.request(method, path)
            check(answer, 405)
            assert set(answer.headers["Allow"].split(", ")) & methods


def test_a_body_too_large_is_413_on_every_route(client: TestClient) -> None:
    for path, method, _ in operations(client):
        headers = {"Content-Type": "application/json"}
        check(client.request(method, path, content=b" " * (MAX_BODY + 1), headers=headers), 413)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 1500, b'{"a": NaN}', b'"x"', b"null"])
def test_a_body_that_makes_no_sense_is_422_and_named(client: TestClient, body: bytes) -> None:
    for path, method, described in operations(client):
        if "application/json" in described.get("requestBody", {}).get("content", {}):
            headers = {"Content-Type": "application/json"}
            answer = client.request(method, path, content=body, headers=headers)
            assert check(answer, 422)["errors"]


def test_a_wrong_query_is_422_and_named(client: TestClient) -> None:
    for path, method, described in operations(client):
        for parameter in described.get("parameters", []):
            if parameter["in"] == "query" and "maximum" in parameter["schema"]:
                answer = client.request(method, path, params={parameter["name"]: "1e99"})
                named = {error["field"] for error in check(answer, 422)["errors"]}
                assert parameter["name"] in named


def test_without_its_stores_a_service_is_not_ready_and_says_when_to_ask_again(
    client: TestClient,
) -> None:
    answer = client.get("/health/ready")
    assert check(answer, 503)["detail"].startswith("Not ready: ")
    assert int(answer.headers["Retry-After"]) >= 1
    assert client.get("/health/live").status_code == 200


def test_ratings_while_kafka_is_away_are_503() -> None:
    client = TestClient(ingest_app())
    for method, path, body in (
        ("POST", "/ratings", {"user": "u", "item": "m", "rating": 4}),
        ("PUT", "/items/1", {}),
        ("POST", "/items", [{"item": "1"}]),
    ):
        answer = client.request(method, path, json=body)
        check(answer, 503)
        assert int(answer.headers["Retry-After"]) >= 1


def test_what_nobody_expected_is_500() -> None:
    class Broken(FakeLog):
        async def publish(self, topic: str, records: Sequence[Record]) -> list[Position]:
            raise ZeroDivisionError("the inside of the service")

    app = ingest_app()
    app.state.log = Broken()
    rating = {"user": "u", "item": "m", "rating": 4}
    answer = TestClient(app).post("/ratings", json=rating)
    assert "inside" not in str(check(answer, 500))


def test_openapi_says_so(client: TestClient) -> None:
    for path, _, described in operations(client):
        errors = {
            status: answer
            for status, answer in described["responses"].items()
            if status.startswith(("4", "5"))
        }
        assert {"422", "500"} <= set(errors), path
        if "requestBody" in described:
            assert "413" in errors, path
        for answer in errors.values():
            assert answer["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }, path
