"""Ids, measurements, probes and OpenAPI of every service."""

from __future__ import annotations

import re
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

from tests.unit.service.conftest import Reasons


def test_a_request_keeps_its_id_and_gets_one_where_it_has_none(client: TestClient) -> None:
    given = client.get("/things/1", headers={"X-Request-ID": "a.B-c_9"})
    assert given.headers["X-Request-ID"] == "a.B-c_9"
    first, second = (client.get("/nothing").headers["X-Request-ID"] for _ in range(2))
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", first)
    assert first != second


@pytest.mark.parametrize("wrong", ["a b", "x" * 129, "", "a\tb", "é"])
def test_an_id_that_is_not_fit_for_a_log_is_replaced(client: TestClient, wrong: str) -> None:
    answer = client.get("/things/1", headers={"X-Request-ID": wrong.encode()})
    assert answer.headers["X-Request-ID"] != wrong


def count(route: str, status: int, method: str = "GET") -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("http_requests_total", labels) or 0.0


def test_requests_are_counted_by_template_and_status(client: TestClient) -> None:
    before = count("/things/{thing}", 200), count("/things/{thing}", 422)
    for path in ("/things/1", "/things/2", "/things/2?n=x"):
        client.get(path)
    after = count("/things/{thing}", 200), count("/things/{thing}", 422)
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)


def test_what_callers_make_up_adds_no_series(client: TestClient) -> None:
    before = count("unmatched", 404), count("/things/{thing}", 405, "other")
    for number in range(3):
        client.get(f"/made/up/{number}")
        client.request(f"MADEUP{number}", "/things/1")
    assert count("unmatched", 404) - before[0] == 3
    assert count("/things/{thing}", 405, "other") - before[1] == 3
    assert "MADEUP" not in client.get("/metrics").text
    assert "/made/up" not in client.get("/metrics").text


def test_an_unexpected_exception_is_counted(client: TestClient) -> None:
    def exceptions() -> float:
        return REGISTRY.get_sample_value("http_exceptions_total", {"route": "/broken"}) or 0.0

    before = exceptions(), count("/broken", 500)
    client.get("/broken")
    assert (exceptions() - before[0], count("/broken", 500) - before[1]) == (1, 1)


def test_an_answer_that_breaks_off_is_not_completed(client: TestClient) -> None:
    with pytest.raises(RuntimeError):  # the server cuts the connection
        client.get("/half")


def test_metrics_are_prometheus_text_with_latencies(client: TestClient) -> None:
    client.get("/things/1")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert re.search(
        r"http_request_duration_seconds_bucket"
        r'\{le="0.01",method="GET",route="/things/\{thing\}"\} \d',
        answer.text,
    )
    openmetrics = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")


def test_live_whatever_happens_and_ready_unless_there_are_reasons(
    client: TestClient, reasons: Reasons
) -> None:
    assert client.get("/health/ready").json() == {"status": "ready"}
    reasons.given = ["the model is being loaded", "Redis is away"]
    assert client.get("/health/live").json() == {"status": "live"}
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "Not ready: the model is being loaded; Redis is away"


def test_openapi_describes_problems_once(client: TestClient) -> None:
    schema: dict[str, Any] = client.get("/openapi.json").json()
    assert set(schema["components"]["schemas"]["Problem"]["properties"]) == {
        "type",
        "title",
        "status",
        "detail",
        "errors",
    }
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    content = schema["paths"]["/things/{thing}"]["get"]["responses"]["422"]["content"]
    assert content == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }
