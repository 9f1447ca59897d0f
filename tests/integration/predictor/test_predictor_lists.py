"""Lists of items and users, and every option on them, over real stores.

Rows as in tests/fakes/hand_model.py, without a ranking head: the score is r̂ + ½ log₂(1 + n), and
alice's is a 5.45, b 5.2, d 3.95, c 3.74.
"""

from __future__ import annotations

import pytest

from predictor.answers import (
    Ids,
    ItemDescription,
    ItemList,
    Predictions,
    RecommendationLists,
    Recommendations,
    SurprisingItems,
    UserDescription,
    UserList,
)
from tests.integration.predictor.test_predictor_answers import checked

FILMS = (
    ("a", "Alien (1979)", {"genres": ["Horror", "Science Fiction"], "year": 1979, "minutes": 117}),
    ("b", "Brazil (1985)", {"genres": ["Science Fiction"], "year": 1985, "minutes": 132}),
    ("c", "Carrie (1976)", {"genres": ["Horror"], "year": 1976, "language": "en"}),
    ("d", "Dune (1984)", {"genres": ["Science Fiction"], "year": 1984, "minutes": 137}),
)


def names(body):
    return [item["item"] for item in body["items"]]


@pytest.fixture
def films(client, writer, eventually):
    writer.sql("DELETE FROM items")
    writer.catalogue(*FILMS)
    writer.commit({}, {}, [], catalogue=[film[0] for film in FILMS])
    eventually(lambda: client.get("/items/d").json()["attributes"].get("minutes"), "the catalogue")
    return client


def asked(client, query, shape=Recommendations):
    response = client.get(query)
    assert response.status_code == 200, response.text
    shape.model_validate(response.json())
    return response.json()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["a", "b", "d", "c"]),
        ("&n=2", ["a", "b"]),
        ("&n=2&offset=1", ["b", "d"]),
        ("&offset=4", []),
        ("&exclude=a&exclude=d", ["b", "c"]),
        ("&genre=Horror", ["a", "c"]),
        ("&genre=Horror&genre=Science Fiction", ["a", "b", "d", "c"]),
        ("&year_min=1980", ["b", "d"]),
        ("&year_min=1977&year_max=1984", ["a", "d"]),
        ("&where=minutes:120..", ["b", "d"]),
        ("&where=minutes:..120", ["a"]),
        ("&where=minutes:117", ["a"]),
        ("&where=language:en", ["c"]),
        ("&where=language:en&where=minutes:1..", []),
        ("&where=unheard of:1", []),
        ("&min_ratings=2", ["a", "c"]),
        ("&strategy=popular", ["a", "c", "b", "d"]),
        ("&strategy=trending", ["a", "c", "b", "d"]),
    ],
)
def test_what_is_in_a_list(films, query, expected):
    body = asked(films, f"/recommend?user=alice&include_rated=true{query}")
    assert names(body) == expected
    assert body["source"] == ("none" if not expected else body["source"])


def test_options_hold_for_bodies_as_well(films):
    wanted = {"users": ["alice", "bob"], "include_rated": True, "genre": ["Horror"], "n": 1}
    body = films.post("/recommend", json=wanted).json()
    RecommendationLists.model_validate(body)
    assert [(one["user"], names(one)) for one in body["lists"]] == [
        ("alice", ["a"]),
        ("bob", ["a"]),
    ]


def test_a_group_gets_one_list(films):
    """alice a 5.45, b 5.2, c 3.74, d 3.95; bob, 3.45 - 0.5 + b_y + 2 P_y2 + ½ log₂(1 + n), a 5.2,
    b 1.2, c 3.99, d 2.95."""
    group = {"users": ["alice", "bob"]}
    wanted = {"group": group, "include_rated": True}
    average = films.post("/recommend", json=wanted).json()
    assert {i["item"]: i["score"] for i in average["items"]} == pytest.approx(
        {"a": 5.325, "c": 3.8675, "d": 3.45, "b": 3.2}, abs=1e-4
    )
    group["aggregate"] = "least_misery"
    least = films.post("/recommend", json={**wanted, "explain": True}).json()
    assert {i["item"]: round(i["score"], 4) for i in least["items"]} == pytest.approx(
        {"a": 5.2, "c": 3.7425, "d": 2.95, "b": 1.2}, abs=1e-4
    )
    for item in least["items"]:
        assert sum(item["explanation"]["parts"].values()) == item["score"]
    assert names(films.post("/recommend", json={"group": group}).json()) == ["d"]  # rated by none


def test_somebody_anonymous_is_folded_in_and_nothing_is_stored(films):
    body = films.post("/recommend", json={"ratings": {"a": 5.0}, "n": 2}).json()
    Recommendations.model_validate(body)
    assert body["source"] == "fold-in"
    assert "a" not in names(body)
    # b_x and U from one rating: minimise (d - b - U·P)² + 4 b² + 4 |U|², d = 5 - 3.45 - 0.25
    length = 0.25**2 + 0.5**2
    along = 1.3 / (1 + 1 / 4 + length / 4)
    bias, factor = along / 4, along / 4
    score = 3.45 + bias + factor * (0.25 * -1.0 + 0.5 * 0.125) + 0.5 * 1.58496
    everything = films.post("/recommend", json={"ratings": {"a": 5.0}}).json()
    found = {item["item"]: item["score"] for item in everything["items"]}
    assert found["c"] == pytest.approx(score, abs=1e-4)
    assert films.get("/users").json()["ids"] == ["alice", "bob", "carl", "dora"]
    refused = films.post("/recommend", json={"ratings": {"a": 5.5}})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "ratings.a"


@pytest.mark.parametrize(
    "body",
    [
        {"users": ["alice"], "ratings": {"a": 3}},
        {"users": []},
        {"users": ["alice"], "n": "5"},
        {"ratings": {"": 3}},
        {"unheard": 1},
        {"group": {"users": ["alice"], "aggregate": "loudest"}},
        {"diversity": 1.5},
        {"where": ["nothing"]},
        {"n": 1.5},
    ],
)
def test_wrong_wishes_are_refused(client, body):
    refused = client.post("/recommend", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"]


def test_the_fallback_chain_link_by_link(films, writer):
    def sources(**wanted):
        body = films.post("/recommend", json=wanted).json()
        return {item["item"]: item["source"] for item in body["items"]}

    # A row in the model; ratings alone; the context alone, first by factors; then attributes.
    assert asked(films, "/recommend?user=alice")["source"] == "model"
    assert set(sources(ratings={"a": 4.0}).values()) == {"fold-in"}
    # cosines with b's factors (1, -1): a -, c -; so nothing is like it but by attributes
    assert sources(context=["b"]) == {"d": "content", "a": "content", "c": "trending"}
    # "d" has no ratings, so no factors: attributes speak
    assert sources(context=["d"])["b"] == "content"
    assert sources(ratings={"d": 5.0})["b"] == "content"
    # nothing at all is known: what is rated of late, then what is popular
    assert sources() == {"a": "trending", "c": "trending", "b": "trending", "d": "popular"}
    assert set(sources(strategy="popular").values()) == {"popular"}
    assert set(sources(strategy="hybrid", ratings={"a": 5}).values()) <= {
        "hybrid", "trending", "popular"
    }  # fmt: skip


def test_withdrawn_items_are_in_no_list_from_then_on(films, writer, eventually):
    writer.sql("""UPDATE items SET attributes = attributes || '{"available": false}'
                   WHERE item IN ('a', 'd')""")
    writer.commit({}, {}, [], catalogue=["a", "d"])
    eventually(lambda: films.get("/items/a").json()["available"] is False, "withdrawn")
    for query in (
        "/recommend?user=alice&include_rated=true",
        "/recommend?user=nobody",
        "/recommend?user=alice&include_rated=true&strategy=hybrid",
        "/recommend?user=alice&include_rated=true&explore=0.5",
        "/recommend?context=b&include_rated=true",
        "/items/popular", "/items/trending", "/items/latest", "/items/representative",
        "/items/search", "/items/search?q=alien", "/items/b/similar",
    ):  # fmt: skip
        assert not {"a", "d"} & set(names(films.get(query).json())), query
    assert names(films.get("/items/popular").json()) == ["c", "b"]
    # They are still known.
    assert checked_item(films, "a")["available"] is False
    assert films.get("/predict?user=alice&item=a").json()["items"][0]["score"] == 4.45
    assert "a" in films.get("/items").json()["ids"]
    writer.sql("UPDATE items SET attributes = attributes - 'available' WHERE item = 'a'")
    writer.commit({}, {}, [], catalogue=["a"])
    eventually(lambda: films.get("/items/a").json()["available"], "available again")
    assert names(films.get("/items/popular").json()) == ["a", "c", "b"]


def checked_item(client, item):
    body = client.get(f"/items/{item}").json()
    ItemDescription.model_validate(body)
    return body


def test_lists_for_everybody(films):
    def listed(path):
        body = asked(films, path, ItemList)
        return [(item["item"], item["score"]) for item in body["items"]]

    assert listed("/items/popular") == [("a", 3.0), ("c", 2.0), ("b", 1.0), ("d", 0.0)]
    assert listed("/items/popular?n=1&offset=1&genre=Horror") == [("c", 2.0)]
    assert listed("/items/latest?n=3") == [("b", 1985.0), ("d", 1984.0), ("a", 1979.0)]
    assert listed("/items/latest?by=minutes") == [("d", 137.0), ("b", 132.0), ("a", 117.0)]
    assert [item for item, _ in listed("/items/trending")] == ["a", "c", "b", "d"]
    # a first; then the cosines with a (0.25, 0.5): b -0.32, c -0.33, d 0 (no factors)
    assert next(item for item, _ in listed("/items/representative?n=2")) == "a"
    # factors of a and c: cosine -0.33; of none positive: by attributes, the genre and the year
    assert [item for item, _ in listed("/items/c/similar")] == ["a"]
    assert films.get("/items/unheard/similar").status_code == 404


def test_surprising_is_what_differs_from_the_prediction(client):
    # alice: a 5 - 4.45, b 1 - 4.7
    body = checked(client.get("/items/surprising?user=alice"), SurprisingItems)
    assert [(i["item"], i["score"], i["rating"], i["predicted"]) for i in body["items"]] == [
        ("b", -3.7, 1.0, 4.7),
        ("a", 0.55, 5.0, 4.45),
    ]


def test_ids_page_by_page(client):
    def pages(path, n):
        after, found = None, []
        while True:
            body = checked(
                client.get(path, params={"n": n, **({"after": after} if after else {})}), Ids
            )
            assert len(body["ids"]) <= n
            found += body["ids"]
            if (after := body["cursor"]) is None:
                return found

    for n in (1, 2, 3, 4, 5):
        assert pages("/items", n) == ["a", "b", "c", "d"]
        assert pages("/users", n) == ["alice", "bob", "carl", "dora"]


def test_users(client, writer):
    body = checked(client.get("/users/alice"), UserDescription)
    assert (body["ratings"], body["bias"], body["source"]) == (2, 0.5, "model")
    assert (body["mean_rating"], body["rated_items"]) == (3.0, 2)
    body = checked(client.get("/users/nobody"), UserDescription)
    assert (body["ratings"], body["mean_rating"], body["source"]) == (0, None, "none")
    # all were learned in the same micro-batch: the more ratings first, then by id
    body = checked(client.get("/users/active?n=3"), UserList)
    assert [(one["user"], one["ratings"]) for one in body["users"]] == [
        ("alice", 2), ("bob", 2), ("carl", 1)
    ]  # fmt: skip
    # factors: alice (1, 0), carl (1, 0), bob (0, 2), dora (0, -1)
    body = checked(client.get("/users/alice/similar"), UserList)
    assert [(one["user"], one["score"]) for one in body["users"]] == [
        ("carl", 1.0), ("bob", 0.0), ("dora", 0.0)
    ]  # fmt: skip
    assert checked(client.get("/users/nobody/similar"), UserList)["users"] == []
    ratings = client.get("/users/alice/ratings?n=1&offset=1").json()
    assert names(ratings) == ["a"]


def test_predictions_explained_add_up_exactly(client):
    body = checked(client.get("/predict?user=carl&item=a&item=zzz&explain=true"), Predictions)
    first, second = body["items"]
    assert first["parts"] == pytest.approx(
        {"mean": 3.45, "user_bias": 2.0, "item_bias": 0.25, "taste": 0.25}
    )
    assert first["score"] == 5.0  # clipped
    assert first["unclipped"] == pytest.approx(5.95)
    assert (second["parts"]["item_bias"], second["parts"]["taste"]) == (0.0, 0.0)
    for item in (first, second):
        assert sum(item["parts"].values()) == item["unclipped"]
    pairs = {"pairs": [{"user": "carl", "item": "a"}], "explain": True}
    assert client.post("/predict", json=pairs).json()["items"] == [{"user": "carl", **first}]


def test_ids_with_slashes(client, writer, eventually):
    writer.catalogue(("x/y", "A slash", {}))
    writer.commit({}, {}, [("p/q", "a", 4.0)], catalogue=["x/y"])
    eventually(lambda: client.get("/items/x/y").status_code == 200, "the entry")
    assert client.get("/items/x%2Fy").json()["title"] == "A slash"
    assert client.get("/items/x/y/similar").status_code == 200
    assert names(client.get("/users/p/q/ratings").json()) == ["a"]
