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
