"""DELETE /ratings/{user}/{item} and DELETE /users/{user} without Kafka."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

from ingest.app import build
from ingest.settings import IngestSettings
from recommender.clock import Clock
from tests.fakes.rating_log import FakeLog
from tests.unit.ingest.conftest import NOW


@pytest.mark.parametrize(
    ("path", "user", "item"),
    [
        ("u1/318", "u1", "318"),
        ("a%2Fb/c", "a/b", "c"),
        ("a/b/c", "a", "b/c"),
        ("a/b%2Fc", "a", "b/c"),
        ("a%2Fb/c%2Fd", "a/b", "c/d"),
        ("%C3%A9%2F/x%20y", "é/", "x y"),
        ("ratings/ratings/1", "ratings", "ratings/1"),
    ],
)
def test_a_withdrawn_rating_is_written_under_the_users_key(
    client: TestClient, log: FakeLog, path: str, user: str, item: str
) -> None:
    answer = client.delete(f"/ratings/{path}")
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    (place,) = answer.json()["records"]
    key, value = log.records["ratings"][place["partition"]][place["offset"]]
    assert key == user.encode()
    assert json.loads(value or b"") == {
        "user": user,
        "item": item,
        "deleted": True,
        "timestamp": NOW,
    }


@pytest.mark.parametrize(("path", "user"), [("u1", "u1"), ("a%2Fb", "a/b"), ("a/b", "a/b")])
def test_a_deleted_user_is_a_withdrawal_without_item(
    client: TestClient, log: FakeLog, path: str, user: str
) -> None:
    answer = client.delete(f"/users/{path}", params={"event_id": "e1"})
    assert answer.status_code == 202
    (place,) = answer.json()["records"]
    key, value = log.records["ratings"][place["partition"]][place["offset"]]
    assert key == user.encode()
    assert json.loads(value or b"") == {
        "user": user,
        "deleted": True,
        "timestamp": NOW,
        "event_id": "e1",
    }


def test_it_follows_the_users_ratings_in_their_partition(client: TestClient, log: FakeLog) -> None:
    rated = client.post("/ratings", json={"user": "u1", "item": "1", "rating": 4}).json()
    deleted = client.delete("/ratings/u1/1").json()
    (first,), (second,) = rated["records"], deleted["records"]
    assert first["partition"] == second["partition"]
    assert second["offset"] == first["offset"] + 1


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/ratings/u/" + "x" * 257, "item"),
        ("/ratings/" + "x" * 257 + "/i", "user"),
        ("/ratings/a%2F" + "x" * 255 + "/i", "user"),
        ("/ratings/u/%01", "item"),
        ("/ratings/u/", "item"),
        ("/users/%01", "user"),
        ("/users/u?event_id=" + "e" * 129, "event_id"),
    ],
)
def test_wrong_ids_are_named_and_nothing_is_published(
    client: TestClient, log: FakeLog, path: str, field: str
) -> None:
    answer = client.delete(path)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert log.values("ratings") == []


@pytest.mark.parametrize("path", ["/ratings", "/ratings/u", "/users", "/users/"])
def test_a_half_address_deletes_nothing(client: TestClient, log: FakeLog, path: str) -> None:
    assert client.delete(path).status_code in (404, 405, 422)
    assert log.values("ratings") == []


def test_deleting_needs_the_key_as_writing_does(log: FakeLog) -> None:
    app = build(IngestSettings(http_api_keys="correct-horse"), Clock(lambda: NOW))
    app.state.log = log
    client = TestClient(app)
    assert client.delete("/users/u1").status_code == 401
    assert client.delete("/ratings/u1/1").status_code == 401
    assert log.values("ratings") == []
    answer = client.delete("/users/u1", headers={"Authorization": "Bearer correct-horse"})
    assert answer.status_code == 202


def test_pages_of_allowed_origins_may_delete(log: FakeLog) -> None:
    app = build(IngestSettings(http_cors_origins="https://shop.example"), Clock(lambda: NOW))
    answer = TestClient(app).options(
        "/users/u1",
        headers={"Origin": "https://shop.example", "Access-Control-Request-Method": "DELETE"},
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
