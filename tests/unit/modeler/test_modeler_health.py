"""Live, ready and lag of the modeler, over HTTP, as a probe and Prometheus read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from modeler import health
from recommender.errors import MissingRequirement


@pytest.fixture
def url() -> Iterator[str]:
    health.HEALTH.stopped()
    server = health.serve("127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    health.HEALTH.stopped()


def event(**fields: object) -> Any:
    return cast(Any, SimpleNamespace(**fields))


def progress(*sources: dict[str, object]) -> Any:
    return event(progress=event(json=json.dumps({"sources": sources})))


def test_live_before_anything_runs(url: str) -> None:
    answer = httpx.get(f"{url}/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


def test_ready_from_the_start_of_a_query_to_its_end(url: str) -> None:
    before = httpx.get(f"{url}/health/ready")
    assert before.status_code == 503
    assert before.headers["content-type"] == "application/problem+json"
    assert "the stream is not running" in before.json()["detail"]
    health.HEALTH.onQueryStarted(event(runId="a"))
    assert httpx.get(f"{url}/health/ready").json() == {"status": "ready"}
    health.HEALTH.onQueryTerminated(event(runId="another"))
    assert httpx.get(f"{url}/health/ready").is_success
    health.HEALTH.onQueryTerminated(event(runId="a"))
    assert httpx.get(f"{url}/health/ready").status_code == 503


def lag(url: str) -> float:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("modeler_records_beh"))


def test_lag_is_what_the_log_has_past_the_last_micro_batch(url: str) -> None:
    one = {
        "endOffset": {"ratings": {"0": 10, "1": 5}},
        "latestOffset": {"ratings": {"0": 17, "1": 5}},
    }
    other = {"endOffset": {"items": {"0": 1}}, "latestOffset": {"items": {"0": 4}}}
    health.HEALTH.onQueryProgress(progress(one, other))
    assert lag(url) == 7 + 3
    health.HEALTH.onQueryIdle(event())
    assert lag(url) == 0


def test_a_progress_without_offsets_is_no_lag() -> None:
    assert health.behind({"endOffset": None, "latestOffset": None}) == 0


def test_other_addresses_are_problems(url: str) -> None:
    answer = httpx.get(f"{url}/health")
    assert answer.status_code == 404
    assert answer.json()["status"] == 404


def test_a_taken_port_is_one_sentence(url: str) -> None:
    port = int(url.rpartition(":")[2])
    with pytest.raises(MissingRequirement, match=f"cannot listen on 127.0.0.1:{port}"):
        health.serve("127.0.0.1", port)
