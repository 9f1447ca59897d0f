"""The running product: it learns what is posted, and goes on when a part of it is killed."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from typing import Any

import httpx
import psycopg2


def await_learned(stack: Any, position: dict[str, Any], within: float = 90.0) -> None:
    """Ask, with the predictor's own bounded waiting, until the model has learned a record."""
    deadline = time.monotonic() + within
    place = f"{position['partition']}:{position['offset']}"
    while time.monotonic() < deadline:
        answer = httpx.get(
            f"{stack.predictor_url}/recommend", params={"user": "x", "after": place}, timeout=30
        )
        # 503 with the reason where it is not learned yet when the predictor's patience ends.
        assert answer.status_code in (200, 503), answer.text
        if answer.is_success:
            assert (
                answer.json()["as_of"]["offsets"][str(position["partition"])] > position["offset"]
            )
            return
    raise AssertionError(f"record {place} was not learned within {within:g} s")


def post(stack: Any, ratings: list[dict[str, Any]]) -> dict[str, Any]:
    answer = httpx.post(f"{stack.ingest_url}/ratings", json=ratings, timeout=30)
    assert answer.status_code == 202, answer.text
    record: dict[str, Any] = answer.json()["records"][-1]
    return record


def counts(stack: Any) -> tuple[int, int, int]:
    """Ratings learned: over the users' rows, over the items' rows, by the offsets."""
    with closing(psycopg2.connect(stack.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(
            """SELECT (SELECT sum(n) FROM user_rows), (SELECT sum(n) FROM item_rows),
                      (SELECT sum(next_offset) FROM offsets WHERE topic = 'ratings')"""
        )
        users, items, offsets = cursor.fetchone() or (0, 0, 0)
    return int(users), int(items), int(offsets)


def test_the_model_says_what_it_was_made_of(stack: Any) -> None:
    model = httpx.get(f"{stack.predictor_url}/model", timeout=30).json()
    assert model["data"] == "generated: for tests"
    assert model["counts"]["ratings"] >= 1500


def test_what_is_deleted_is_gone_everywhere(stack: Any) -> None:
    def get(path: str) -> httpx.Response:
        return httpx.get(f"{stack.predictor_url}{path}", timeout=30)

    def delete(path: str) -> dict[str, Any]:
        answer = httpx.delete(f"{stack.ingest_url}{path}", timeout=30)
        assert answer.status_code == 202, answer.text
        (record,) = answer.json()["records"]
        return record

    def learned() -> int:
        return int(get("/model").json()["counts"]["ratings"])

    def rated() -> dict[str, float]:
        return {one["item"]: one["score"] for one in get("/users/gone/ratings").json()["items"]}

    before, item = learned(), get("/items/i1").json()["ratings"]
    ratings = [{"user": "gone", "item": f"i{n}", "rating": 5} for n in range(3)]
    await_learned(stack, post(stack, ratings))
    assert learned() == before + 3
    assert get("/items/i1").json()["ratings"] == item + 1

    await_learned(stack, delete("/ratings/gone/i1"))
    assert learned() == before + 2
    assert rated() == {"i0": 5.0, "i2": 5.0}
    assert get("/users/gone").json()["ratings"] == 2
    assert get("/items/i1").json()["ratings"] == item

    await_learned(stack, delete("/users/gone"))
    assert learned() == before
    assert get("/users/gone").json() == get("/users/never-seen").json() | {"user": "gone"}
    assert get("/users/gone").json()["source"] == "none"
    strangers = [get(f"/recommend?user={user}").json()["items"] for user in ("gone", "never-seen")]
    assert strangers[0] == strangers[1]

    await_learned(stack, post(stack, [{"user": "gone", "item": "i5", "rating": 1}]))
    assert rated() == {"i5": 1.0}
    assert get("/users/gone").json()["ratings"] == 1
    await_learned(stack, delete("/users/gone"))


def test_a_killed_modeler_comes_back_and_counts_every_rating_once(stack: Any) -> None:
    before = counts(stack)
    killed = stack.modeler_pid()
    for number in range(5):
        post(
            stack,
            [{"user": f"k{number}", "item": f"i{item}", "rating": 4} for item in range(20)],
        )
        if number == 2:
            os.kill(killed, signal.SIGKILL)
    # The last rating of each of the users, who are in several partitions.
    last = [
        post(stack, [{"user": f"k{number}", "item": "i99", "rating": 2}]) for number in range(5)
    ]
    for position in last:
        await_learned(stack, position)
    assert stack.modeler_pid() != killed
    assert counts(stack) == tuple(count + 105 for count in before)
