"""PUT /items/{item} and POST /items without Kafka."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

from tests.fakes.rating_log import FakeLog

SEVEN = {"title": "Se7en (1995)", "attributes": {"genres": ["Crime"], "year": 1995, "stars": [1]}}


@pytest.mark.parametrize(
    ("path", "item"),
    [("318", "318"), ("a%2Fb", "a/b"), ("a/b", "a/b"), ("%C3%A9", "é"), ("x%20y", "x y")],
)
def test_put_writes_the_entry_under_the_items_key(
    client: TestClient, log: FakeLog, path: str, item: str
) -> None:
    answer = client.put(f"/items/{path}", json=SEVEN)
    assert answer.status_code == 202
    (place,) = answer.json()["records"]
    key, value = log.records["items"][place["partition"]][place["offset"]]
    assert key == item.encode()
    assert json.loads(value or b"") == {"item": item, **SEVEN}


def test_put_needs_no_more_than_an_object(client: TestClient, log: FakeLog) -> None:
    assert client.put("/items/1", json={}).status_code == 202
    assert json.loads(log.values("items")[0]) == {"item": "1", "title": None, "attributes": {}}


def test_post_takes_a_list_or_one(client: TestClient, log: FakeLog) -> None:
    assert client.post("/items", json=[{"item": 1}, {"item": "2"}]).json()["accepted"] == 2
    assert client.post("/items", json={"item": "3", "title": "T"}).json()["accepted"] == 1
    assert sorted(json.loads(value)["item"] for value in log.values("items")) == ["1", "2", "3"]


def test_wrong_entries_are_named_and_nothing_is_published(client: TestClient, log: FakeLog) -> None:
    sent = [{"item": "1"}, {"item": "2", "attributes": {"year": "1995", "genres": ["", 7]}}]
    answer = client.post("/items", json=sent)
    assert answer.status_code == 422
    assert [(error["field"], error["value"]) for error in answer.json()["errors"]] == [
        ("[1].attributes.genres[0]", ""),
        ("[1].attributes.genres[1]", 7),
        ("[1].attributes.year", "1995"),
    ]
    answer = client.put("/items/" + "x" * 257, json={})
    assert [error["field"] for error in answer.json()["errors"]] == ["item"]
    answer = client.put("/items/1", json=[])
    assert [error["field"] for error in answer.json()["errors"]] == ["body"]
    assert log.values("items") == []
