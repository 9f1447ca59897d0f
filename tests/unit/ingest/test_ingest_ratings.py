"""POST /ratings without Kafka: what is written, what is answered, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

from recommender.ratings import Scale, decode
from tests.fakes.rating_log import FakeLog

JSON = {"Content-Type": "application/json"}
GOOD = {"user": "u", "item": "m", "rating": 4}


def test_one_rating_is_in_the_log_where_the_answer_says(client: TestClient, log: FakeLog) -> None:
    answer = client.post("/ratings", json=GOOD | {"timestamp": 9, "event_id": "e1"})
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    (place,) = answer.json()["records"]
    assert set(place) == {"topic", "partition", "offset"}
    key, value = log.records["ratings"][place["partition"]][place["offset"]]
    assert key == b"u"
    assert json.loads(value or b"") == {
        "user": "u",
        "item": "m",
        "rating": 4.0,
        "timestamp": 9.0,
        "event_id": "e1",
    }


def test_a_list_is_answered_in_its_order(client: TestClient, log: FakeLog) -> None:
    sent = [{"user": user, "item": "m", "rating": 3} for user in ("a", "b", "a")]
    answer = client.post("/ratings", json=sent)
    places = answer.json()["records"]
    assert answer.json()["accepted"] == 3
    keys = [log.records[p["topic"]][p["partition"]][p["offset"]][0] for p in places]
    assert keys == [b"a", b"b", b"a"]
    assert places[0]["partition"] == places[2]["partition"]
    assert places[0]["offset"] < places[2]["offset"]


def test_numbers_as_ids_and_a_missing_time_are_made_canonical(
    client: TestClient, log: FakeLog
) -> None:
    assert client.post("/ratings", json={"user": 7, "item": 8.0, "rating": 5}).status_code == 202
    (value,) = log.values("ratings")
    rating = decode(value, Scale(0.5, 5))
    assert (rating.user, rating.item, rating.timestamp) == ("7", "8", 1_700_000_000.25)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ('{"user": "u", "item": "m"}', {"rating": None}),
        ('{"user": "u", "item": "m", "rating": 5.5}', {"rating": 5.5}),
        ('{"user": "u", "item": "m", "rating": NaN}', {"rating": "nan"}),
        ('{"user": "u", "item": "m", "rating": -Infinity}', {"rating": "-inf"}),
        ('{"user": "u", "item": "m", "rating": true}', {"rating": True}),
        ('{"user": "u", "item": "m", "rating": "4"}', {"rating": "4"}),
        ('{"user": null, "item": "m", "rating": 4}', {"user": None}),
        (
            '{"user": 1' + "0" * 400 + ', "item": "m", "rating": 4}',
            {"user": "an integer of 1329 bits"},
        ),
        ('{"user": "u", "item": "\\u0000", "rating": 4}', {"item": "\0"}),
        ('{"user": "u", "item": "m", "rating": 4, "stars": 4}', {"stars": 4}),
        ('{"user": "u", "item": "m", "rating": 4, "timestamp": "soon"}', {"timestamp": "soon"}),
        ("[]", {"body": "a list of 0"}),
        ("[1, 2]", {"[0]": 1, "[1]": 2}),
        ("[{}, {}, {}, {}]", {"body": "a list of 4"}),
        ('"u"', {"body": "u"}),
        ("", {"body": ""}),
        ("{", {"body": "{"}),
        ("[" * 5000, {"body": "[" * 77 + "..."}),
        (
            b'{"user": "\xff", "item": "m", "rating": 4}',
            {"body": '{"user": "\\xff", "item": "m", "rating": 4}'},
        ),
        (
            '{"user": "\\ud800", "item": "m", "rating": 4}',
            {"body": '{"user": "\\ud800", "item": "m", "rating": 4}'},
        ),
    ],
)
def test_wrong_input_is_named_and_nothing_is_published(
    client: TestClient, log: FakeLog, body: str | bytes, wrong: dict[str, Any]
) -> None:
    answer = client.post("/ratings", content=body, headers=JSON)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    errors = answer.json()["errors"]
    assert {error["field"]: error["value"] for error in errors} == wrong
    assert all(error["allowed"] for error in errors)
    assert log.values("ratings") == []


def test_every_wrong_record_of_a_list_is_named_by_its_place(
    client: TestClient, log: FakeLog
) -> None:
    answer = client.post("/ratings", json=[GOOD, GOOD | {"rating": 9}, {"user": "u", "rating": 4}])
    assert answer.status_code == 422
    assert [(e["field"], e["value"]) for e in answer.json()["errors"]] == [
        ("[1].rating", 9),
        ("[2].item", None),
    ]
    assert log.values("ratings") == []  # the first one was right


def test_a_list_of_the_largest_length_is_taken(client: TestClient, log: FakeLog) -> None:
    assert client.post("/ratings", json=[GOOD] * 3).status_code == 202
    assert len(log.values("ratings")) == 3


def test_other_types_than_json_are_refused(client: TestClient) -> None:
    body = json.dumps(GOOD)
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        headers = {"Content-Type": kind} if kind else {}
        assert client.post("/ratings", content=body, headers=headers).status_code == 415
    for kind in ("application/json", "Application/JSON; charset=utf-8", "application/x+json"):
        answer = client.post("/ratings", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 202


def test_kafka_away_is_503_and_is_counted(client: TestClient, log: FakeLog) -> None:
    def count(outcome: str) -> float:
        labels = {"topic": "ratings", "outcome": outcome}
        return REGISTRY.get_sample_value("ingest_records_total", labels) or 0.0

    before = count("accepted"), count("unavailable")
    log.away = True
    answer = client.post("/ratings", json=[GOOD, GOOD])
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert "Kafka" in answer.json()["detail"]
    assert client.get("/health/ready").status_code == 503
    log.away = False
    assert client.post("/ratings", json=GOOD).status_code == 202
    assert client.get("/health/ready").status_code == 200
    assert (count("accepted"), count("unavailable")) == (before[0] + 1, before[1] + 2)
