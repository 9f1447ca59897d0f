"""Live, ready and lag of the modeler, over HTTP, as a probe and Prometheus read them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import httpx
import pytest

from modeler import health
from recommender.errors import MissingRequirement, Unavailable


@pytest.fixture
def url() -> Iterator[str]:
    health.HEALTH.stopped()
    server = health.serve("127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    health.HEALTH.stopped()


def test_live_before_anything_runs(url: str) -> None:
    answer = httpx.get(f"{url}/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


def test_ready_from_the_start_of_a_query_to_its_end(url: str) -> None:
    before = httpx.get(f"{url}/health/ready")
    assert before.status_code == 503
    assert before.headers["content-type"] == "application/problem+json"
    assert "the stream is not running" in before.json()["detail"]
    health.HEALTH.started(lambda: 0)
    assert httpx.get(f"{url}/health/ready").json() == {"status": "ready"}
    health.HEALTH.stopped()
    assert httpx.get(f"{url}/health/ready").status_code == 503


def lag(url: str) -> float:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("modeler_records_beh"))


def test_lag_is_found_out_when_it_is_asked_for(url: str) -> None:
    found = iter([10, 0])
    health.HEALTH.started(lambda: next(found))
    assert lag(url) == 10
    assert lag(url) == 0


def test_lag_is_not_known_where_kafka_is_away_or_nothing_learns(url: str) -> None:
    def away() -> int:
        raise Unavailable("Kafka", "it does not answer")

    health.HEALTH.started(away)
    assert math.isnan(lag(url))
    health.HEALTH.stopped()
    assert math.isnan(lag(url))


def test_other_addresses_are_problems(url: str) -> None:
    answer = httpx.get(f"{url}/health")
    assert answer.status_code == 404
    assert answer.json()["status"] == 404


def test_a_taken_port_is_one_sentence(url: str) -> None:
    port = int(url.rpartition(":")[2])
    with pytest.raises(MissingRequirement, match=f"cannot listen on 127.0.0.1:{port}"):
        health.serve("127.0.0.1", port)
