"""The bulk routes without Kafka: counts, wrong lines, progress, and Kafka failing on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

import ingest.bulk
from recommender.errors import Unavailable
from storage.log import Record
from tests.fakes.rating_log import FakeLog

NDJSON = {"Content-Type": "application/x-ndjson"}
GOOD = b'{"user": "u", "item": "m", "rating": 4}\n'


@pytest.fixture
def sent(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    records: list[Record] = []

    def load(_settings: object, _topic: str, some: Iterator[Record]) -> int:
        count = len(records)
        records.extend(some)
        return len(records) - count

    client.app.state.load = load  # type: ignore[attr-defined]
    monkeypatch.setattr(ingest.bulk, "end_offsets", lambda *_: {1: 7, 0: len(records)})
    return records


def test_right_lines_are_taken_and_wrong_ones_named(client: TestClient, sent: list[Record]) -> None:
    body = GOOD * 3 + b"wrong\n" + GOOD
    answer = client.post("/bulk/ratings", content=body, headers=NDJSON)
    assert answer.status_code == 202
    found = answer.json()
    assert (found["accepted"], found["rejected"], len(sent)) == (4, 1, 4)
    assert found["offsets"] == {"0": 4, "1": 7}
    ((wrong),) = found["errors"]
    assert wrong["line"] == 4
    assert wrong["errors"][0]["value"] == "wrong"


def test_an_upload_of_many_parts(client: TestClient, sent: list[Record]) -> None:
    lines = 3 * ingest.bulk.PART // len(GOOD) + 11

    def chunks() -> Iterator[bytes]:
        whole = GOOD * lines
        for start in range(0, len(whole), 70_001):  # lines are cut anywhere
            yield whole[start : start + 70_001]

    answer = client.post("/bulk/ratings", content=chunks(), headers=NDJSON)
    assert answer.json()["accepted"] == len(sent) == lines


def test_progress_and_then_the_answer(
    client: TestClient, sent: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest.bulk, "PROGRESS_EVERY", 0.001)
    headers = {**NDJSON, "Accept": "application/x-ndjson"}
    answer = client.post("/bulk/ratings", content=GOOD * 200_000, headers=headers)
    assert answer.status_code == 202
    *progress, last = [json.loads(line) for line in answer.text.splitlines()]
    assert last["accepted"] == 200_000
    assert progress
    sizes = [line["progress"]["sent"] for line in progress]
    assert sizes == sorted(sizes)


def test_nothing_right_is_422(client: TestClient, sent: list[Record]) -> None:
    answer = client.post("/bulk/ratings", content=b"{}\n[]\n", headers=NDJSON)
    assert answer.status_code == 422
    fields = {error["field"] for error in answer.json()["errors"]}
    assert "line 1: user" in fields
    assert "line 2: body" in fields
    assert client.post("/bulk/ratings", content=b"", headers=NDJSON).json()["accepted"] == 0


def test_a_line_without_end_is_refused(client: TestClient, sent: list[Record]) -> None:
    body = b"x" * (ingest.bulk.PART + 1)
    assert client.post("/bulk/ratings", content=body, headers=NDJSON).status_code == 422


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_kafka_failing_on_the_way(client: TestClient, accept: str) -> None:
    def load(_settings: object, _topic: str, some: Iterator[Record]) -> int:
        next(some)
        raise Unavailable("Kafka", "it has gone")

    client.app.state.load = load  # type: ignore[attr-defined]
    headers = {**NDJSON, "Accept": accept}
    answer = client.post("/bulk/ratings", content=GOOD * 200_000, headers=headers)
    found: dict[str, Any] = json.loads(answer.text.splitlines()[-1])
    assert found["status"] == 503
    assert "gone" in found["detail"]
    assert answer.status_code == (503 if accept == "application/json" else 202)


def test_kafka_away_is_said_at_once(client: TestClient, log: FakeLog) -> None:
    log.away = True
    assert client.post("/bulk/ratings", content=GOOD, headers=NDJSON).status_code == 503


def test_other_types_are_refused(client: TestClient) -> None:
    for kind in ("text/plain", "application/json", "multipart/form-data"):
        headers = {"Content-Type": kind}
        assert client.post("/bulk/items", content=GOOD, headers=headers).status_code == 415


def test_an_item_is_withdrawn_by_an_entry_that_says_so(client: TestClient, log: FakeLog) -> None:
    assert client.delete("/items/a/b").status_code == 202
    (value,) = log.values("items")
    assert json.loads(value) == {"item": "a/b", "title": None, "attributes": {"available": False}}
    answer = client.put("/items/1", json={"attributes": {"available": "no"}})
    assert answer.json()["errors"][0]["field"] == "attributes.available"
