"""How items are rated, who would like them, the map and the stream, over real stores."""

from __future__ import annotations

import json
import time

import pytest

from predictor.answers import UserList
from predictor.routes.inside import ItemMap, ItemRatings, Stream
from storage.inspection import LIVE


def asked(client, query, shape):
    response = client.get(query)
    assert response.status_code == 200, response.text
    shape.model_validate(response.json())
    return response.json()


def test_the_latest_rating_of_each_user_counts(client, writer):
    # alice rates a anew; bob's 5 stays
    writer.commit({}, {}, [("alice", "a", 3.0), ("carl", "a", 3.0)])

    body = asked(client, "/items/a/ratings", ItemRatings)

    assert body["counts"] == [{"rating": 3.0, "users": 2}, {"rating": 5.0, "users": 1}]
    assert body["share"] == 1.0
    assert asked(client, "/items/d/ratings", ItemRatings)["counts"] == []
    assert client.get("/items/unheard/ratings").status_code == 404


def test_who_would_like_an_item(client):
    # r̂ of a = 3.45 + 0.25 + b_x + U · (0.25, 0.5): carl 5.95, bob 4.2, alice 4.45, dora 0.2;
    # μ = (14.5 + 2.75) / 5 = 3.45
    body = asked(client, "/items/a/users?n=3", UserList)

    assert [(one["user"], one["score"]) for one in body["users"]] == [
        ("carl", pytest.approx(5.95)),
        ("alice", pytest.approx(4.45)),
        ("bob", pytest.approx(4.2)),
    ]
    assert client.get("/items/unheard/users").status_code == 404


def test_the_map_of_three_items(client):
    body = asked(client, "/items/map?user=alice", ItemMap)

    places = {one["item"]: one for one in body["items"]}
    assert set(places) == {"a", "b", "c"}  # nobody has rated d
    assert places["a"]["genres"] == ["Horror"]
    assert places["a"]["title"] == "Alien (1979)"
    assert sum(body["explained"]) == pytest.approx(1)  # two factors lie in a plane
    # In a plane distances stay: a and b are (1, 2)/√5 and (1, -1)/√2.
    a, b = places["a"], places["b"]
    apart = ((a["x"] - b["x"]) ** 2 + (a["y"] - b["y"]) ** 2) ** 0.5
    assert apart == pytest.approx(
        ((0.4472 - 0.7071) ** 2 + (0.8944 + 0.7071) ** 2) ** 0.5, abs=1e-3
    )
    assert body["user"] is not None
    assert asked(client, "/items/map?user=nobody", ItemMap)["user"] is None
    assert asked(client, "/items/map", ItemMap)["user"] is None


def test_the_stream_with_its_steps_and_how_fresh_it_is(client, writer):
    writer.commit({}, {}, [("alice", "a", 3.0), ("carl", "a", 3.0), ("dora", "a", 3.0)])
    writer.sql(
        "UPDATE micro_batches SET seconds = %s, dead_letters = 2 WHERE batch = 2",
        (json.dumps({"learn": 0.25}),),
    )
    writer.sql(
        'INSERT INTO dead_letters (topic, partition, "offset", reason) '
        "VALUES ('ratings', 0, 99, 'no')"
    )
    now = time.time()
    # 4 and 2 s before their commit; the third is of a data set, long ago
    writer.sql("UPDATE micro_batches SET at = to_timestamp(%s) WHERE batch = 2", (now,))
    for offset, age in ((4, 4.0), (5, 2.0), (6, 2 * LIVE)):
        writer.sql(
            'UPDATE history SET rated_at = ARRAY[%s] WHERE "offset" = ARRAY[%s::bigint]',
            (now - age, offset),
        )

    body = asked(client, "/model/stream", Stream)

    assert [one["batch"] for one in body["batches"]] == [1, 2]
    assert body["batches"][1]["seconds"] == {"learn": 0.25}
    assert body["batches"][1]["dead_letters"] == 2
    assert body["dead_letters"] == 1
    assert body["freshness"]["ratings"] == 2
    assert body["freshness"]["p50"] == pytest.approx(3.0, abs=1e-3)
    assert body["freshness"]["p99"] == pytest.approx(3.98, abs=1e-3)
    assert [one["batch"] for one in asked(client, "/model/stream?n=1", Stream)["batches"]] == [2]
