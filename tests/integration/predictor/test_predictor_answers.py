"""Every route over real stores, against values worked out by hand.

μ = (14.5 + 2.75) / 5 = 3.45; rows as in tests/fakes/hand_model.py.
"""

from __future__ import annotations

import pytest

from predictor.answers import (
    ItemDescription,
    ItemList,
    ModelDescription,
    PairPredictions,
    Predictions,
    Recommendations,
)

AS_OF = {"batch": 1, "offsets": {"0": 4}}


def checked(response, shape, status=200):
    """The answer, after comparing it with the shape that OpenAPI promises."""
    assert response.status_code == status, response.text
    body = response.json()
    shape.model_validate(body, strict=False)
    assert set(body) == set(shape.model_fields), "a field too few or too many"
    assert body["model"] == 1
    assert {name: body["as_of"][name] for name in AS_OF} == AS_OF
    assert body["as_of"]["at"].startswith("20")
    assert body["stale"] is False
    return body


def test_predict_one_and_several_items(client):
    body = checked(client.get("/predict?user=alice&item=a"), Predictions)
    assert body["items"] == [
        {"item": "a", "score": 4.45, "title": "Alien (1979)", "source": "model"}
    ]
    assert body["source"] == "model"
    body = checked(client.get("/predict?user=alice&item=b&item=zzz&item=d"), Predictions)
    assert [(i["item"], i["score"], i["source"]) for i in body["items"]] == [
        ("b", 4.7, "model"),
        ("zzz", 3.95, "user-bias"),
        ("d", 3.95, "user-bias"),
    ]
    assert body["source"] == "mixed"


def test_predict_pairs_in_the_order_asked_for(client):
    pairs = [("bob", "a"), ("alice", "a"), ("nobody", "a"), ("bob", "b"), ("nobody", "zzz")]
    body = {"pairs": [{"user": user, "item": item} for user, item in pairs]}
    answer = checked(client.post("/predict", json=body), PairPredictions)
    assert [(i["user"], i["item"], i["score"], i["source"]) for i in answer["items"]] == [
        ("bob", "a", 4.2, "model"),
        ("alice", "a", 4.45, "model"),
        ("nobody", "a", 3.7, "item-bias"),
        ("bob", "b", 0.7, "model"),
        ("nobody", "zzz", 3.45, "mean"),
    ]


def test_recommend_leaves_out_what_was_rated(client):
    body = checked(client.get("/recommend?user=alice"), Recommendations)
    assert [i["item"] for i in body["items"]] == ["d", "c"]  # alice rated a and b
    assert body["items"][0] == {
        "item": "d",
        "score": 3.95,
        "title": "Dune (1984)",
        "source": "model",
    }
    body = checked(client.get("/recommend?user=alice&include_rated=true&n=2"), Recommendations)
    assert [(i["item"], i["score"]) for i in body["items"]] == [("a", 5.45), ("b", 5.2)]


def test_recommend_to_an_unknown_user_is_what_is_rated_of_late_then_what_is_popular(client):
    # The history ends with ratings of a, b, c, a; d has none. Each counts a bit less than the next.
    body = checked(client.get("/recommend?user=nobody"), Recommendations)
    assert body["source"] == "mixed"
    assert [(i["item"], i["source"]) for i in body["items"]] == [
        ("a", "trending"),
        ("c", "trending"),
        ("b", "trending"),
        ("d", "popular"),
    ]
    assert body["items"][0]["score"] == pytest.approx(1 + 2 ** (-3 / 10_000), abs=1e-4)
    assert body["items"][3]["score"] == 0.0


def test_search(client):
    body = checked(client.get("/items/search?q=allien"), ItemList)
    assert [i["item"] for i in body["items"]] == ["a"]
    assert 70 < body["items"][0]["score"] < 100
    body = checked(client.get("/items/search"), ItemList)
    assert [(i["item"], i["score"]) for i in body["items"]] == [
        ("a", 3.0), ("c", 2.0), ("b", 1.0), ("d", 0.0)
    ]  # fmt: skip


def test_one_item(client):
    body = checked(client.get("/items/a"), ItemDescription)
    assert body["attributes"] == {"genres": ["Horror"], "year": 1979}
    assert (body["ratings"], body["score"], body["source"]) == (3, 3.7, "item-bias")
    assert client.get("/items/zzz").status_code == 404


def test_ratings_of_a_user_most_recent_first(client, writer):
    body = checked(client.get("/users/alice/ratings"), ItemList)
    assert [(i["item"], i["score"]) for i in body["items"]] == [("b", 1.0), ("a", 5.0)]
    assert checked(client.get("/users/nobody/ratings"), ItemList)["items"] == []
    writer.commit({}, {}, [("alice", "a", 2.0)])
    again = client.get("/users/alice/ratings").json()
    assert [(i["item"], i["score"]) for i in again["items"]] == [("a", 2.0), ("b", 1.0)]


def test_model_describes_itself(client):
    body = checked(client.get("/model"), ModelDescription)
    assert body["status"] == "serving"
    assert body["data"] == "by hand"
    assert body["settings"]["rank"] == 2
    assert body["counts"] == {"users": 4, "items": 4, "ratings": 4}
    (point,) = body["series"]
    # squared errors sum up to 1 over 4 ratings: √(1/4)
    assert (point["batch"], point["ratings"], point["rmse"], point["mae"]) == (1, 4, 0.5, 0.5)


def test_series_is_put_together_to_the_length_asked_for(writer, start, eventually):
    writer.hand_model()
    for squared in (3.0, 5.0, 9.0, 4.0):
        rating = [("u", "a", 3.0)]
        writer.commit({}, {"u": (1, 0.0, (0.0, 0.0))}, rating, squared_error=squared)
    with start(writer) as client:
        eventually(lambda: client.get("/health/ready").status_code == 200, "ready")
        series = client.get("/model?points=2").json()["series"]
    # Five micro-batches in stretches of three and two: √((1 + 3 + 5) / 6), √((9 + 4) / 2)
    assert [point["batch"] for point in series] == [3, 5]
    assert [point["rmse"] for point in series] == pytest.approx([1.5**0.5, 6.5**0.5])
    assert [point["total_ratings"] for point in series] == [6, 8]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/predict?user=alice", "item"),
        ("/predict?user=&item=a", "user"),
        ("/predict?user=a%00b&item=a", "user"),
        ("/predict?user=alice&item=" + "x" * 300, "item[0]"),
        ("/recommend?user=alice&n=0", "n"),
        ("/recommend?user=alice&n=1001", "n"),
        ("/recommend?user=alice&after=soon", "after"),
        ("/items/search?q=" + "x" * 300, "q"),
        ("/model?points=0", "points"),
    ],
)
def test_wrong_input_is_a_problem_that_names_the_field(client, path, field):
    response = client.get(path)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"][0]["field"] == field


def test_every_route_has_an_example_in_openapi(client):
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        if path.startswith(("/health", "/metrics")):
            continue
        for method, operation in methods.items():
            content = operation["responses"]["200"]["content"]["application/json"]
            assert "example" in content, f"{method} {path}"


def test_metrics_tell_freshness(client):
    text = client.get("/metrics").text
    assert "recommender_as_of_batch 1.0" in text
    assert "recommender_items 4.0" in text
    assert "recommender_current 1.0" in text
