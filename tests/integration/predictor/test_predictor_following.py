"""The item side follows the stores, whatever happens to them."""

from __future__ import annotations

import threading
import time

import pytest
import redis
from prometheus_client import REGISTRY

from predictor.progress import Progress
from tests.integration.predictor.conftest import OwnStores, Writer

HIGH = (9, 3.0, (0.0, 0.0))
ALICE = (3, 0.5, (1.0, 0.0))


def recommended(client, user="alice", **parameters):
    response = client.get("/recommend", params={"user": user, "n": 5, **parameters})
    assert response.status_code == 200, response.text
    return [item["item"] for item in response.json()["items"]]


def metric(name, **labels):
    value = REGISTRY.get_sample_value(f"recommender_{name}_total", labels)
    assert value is not None, name
    return value


def batch(client):
    return client.get("/predict?user=alice&item=a").json()["as_of"]["batch"]


def test_a_micro_batch_shows_within_milliseconds(client, writer):
    delays = []
    for number in range(20):
        place = writer.learned
        item = f"new{number}"
        writer.commit({item: HIGH}, {"alice": ALICE}, [("alice", "a", 5.0)])
        begin = time.perf_counter()
        first = recommended(client, after=f"0:{place}")[0]
        delays.append(time.perf_counter() - begin)
        assert first == "new0"  # all alike: the first of equals
        assert batch(client) == number + 2
    # Some 5 ms on a quiet machine; the limit is half of what any regular asking would take.
    assert sorted(delays)[10] < 0.1, f"median of 20: {sorted(delays)[10] * 1e3:.1f} ms"


def test_waiting_ends_when_the_record_is_learned_and_not_before(client, writer):
    threading.Timer(
        0.3, lambda: writer.commit({"x": HIGH}, {"alice": ALICE}, [("alice", "c", 5.0)])
    ).start()
    begin = time.perf_counter()
    assert recommended(client, after="0:4") == ["x", "d"]  # c is rated now, a and b were
    assert 0.25 < time.perf_counter() - begin < 2


def test_waiting_in_vain_says_how_far_the_model_is(writer, start, eventually):
    writer.hand_model()
    with start(writer, wait_timeout=0.2) as client:
        eventually(lambda: client.get("/health/ready").status_code == 200, "ready")
        response = client.get("/recommend?user=alice&after=0:4")
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert "0:4" in response.json()["detail"]
    assert '"offsets":{"0":4}' in response.json()["detail"]


def test_rated_items_disappear_as_soon_as_the_rating_is_learned(client, writer):
    assert recommended(client) == ["d", "c"]
    writer.commit({}, {"alice": ALICE}, [("alice", "d", 4.0)])
    assert recommended(client, after="0:4") == ["c"]


def test_who_has_rated_is_known_though_the_modeler_does_not_say(client, writer):
    """As one of an earlier release; whoever has changed may have rated."""
    assert recommended(client) == ["d", "c"]
    writer.commit({}, {"alice": ALICE}, [("alice", "d", 4.0)], told_apart=False)
    assert recommended(client, after="0:4") == ["c"]


def test_a_replayed_user_is_read_before_somebody_asks(client, writer, eventually):
    """The new row, by one reading for all, and with the ratings that are known already."""
    assert recommended(client) == ["d", "c"]
    read = {store: metric("users_read", store=store) for store in ("redis", "kept")}
    renewed = metric("users_renewed")
    writer.commit({}, {"alice": (2, 0.25, (1.0, 0.0))}, [("bob", "b", 2.0)])
    assert recommended(client, "nobody", after="0:4")
    eventually(lambda: metric("users_renewed") == renewed + 1, "the row read again")
    assert recommended(client) == ["d", "c"]
    # μ = (14.5 + 2 + 2.75) / 6, alice's bias 0.25 now, the item's 0.25, and 1 · 0.25
    predicted = client.get("/predict?user=alice&item=a").json()
    assert predicted["items"][0]["score"] == pytest.approx(19.25 / 6 + 0.75, abs=1e-4)
    assert predicted["as_of"]["batch"] == 2
    assert metric("users_read", store="redis") == read["redis"]
    assert metric("users_read", store="kept") == read["kept"] + 2


def test_a_kept_user_who_rates_is_read_again_with_the_ratings(client, writer, eventually):
    assert recommended(client) == ["d", "c"]
    renewed = metric("users_renewed")
    writer.commit({}, {"alice": ALICE, "bob": ALICE}, [("alice", "d", 4.0)])
    assert recommended(client, "nobody", after="0:4")
    eventually(lambda: metric("users_renewed") == renewed + 1, "alice read again")
    read = metric("users_read", store="redis")
    assert recommended(client) == ["c"]
    assert metric("users_read", store="redis") == read
    assert client.get("/users/alice").json()["ratings"] == 3


def test_catalogue_entries_are_followed(client, writer, eventually):
    writer.catalogue(("e", "Eraserhead (1977)", {}), ("a", "Alien: the cut (1979)", {}))
    writer.commit({}, {}, [], catalogue=["e", "a"])
    eventually(lambda: client.get("/items/e").status_code == 200, "the new entry")
    assert client.get("/items/search?q=eraser head").json()["items"][0]["item"] == "e"
    assert client.get("/items/a").json()["title"] == "Alien: the cut (1979)"
    assert "e" in recommended(client)


def test_reset_reads_everything_again(client, writer, eventually):
    writer.sql("UPDATE item_rows SET n = 100 WHERE id = 'b'")
    writer.commit({}, {}, [], reset=True)
    eventually(lambda: client.get("/items/b").json()["ratings"] == 100, "the row read again")


def test_a_gap_in_the_stream_is_filled_from_postgres(client, writer, eventually):
    writer.commit({"lost": HIGH}, {}, [("x", "lost", 5.0)], project=False)
    writer.commit({"seen": HIGH}, {}, [("x", "seen", 5.0)])
    eventually(lambda: batch(client) == 3, "both micro-batches")
    assert {"lost", "seen"} <= set(recommended(client))


def test_what_redis_was_not_told_is_found_in_postgres(client, writer, eventually):
    writer.commit({"x": HIGH}, {"alice": ALICE}, [("alice", "d", 5.0)], project=False)
    eventually(lambda: batch(client) == 2, "the micro-batch without an entry")
    # Redis still has the old ratings of alice; memory knows that it is behind.
    assert recommended(client) == ["x", "c"]


def test_redis_emptied_answers_stay_the_same(client, writer, redis_url, eventually):
    before = client.get("/recommend?user=alice").json()["items"]
    with redis.Redis.from_url(redis_url) as emptied:
        emptied.flushall()
    after = client.get("/recommend?user=alice").json()
    assert after["items"] == before
    assert after["stale"] is False
    writer.commit({"x": HIGH}, {"alice": ALICE}, [("alice", "c", 5.0)])
    eventually(lambda: batch(client) == 2, "the stream begun anew")


def test_another_serving_model_takes_over(client, writer, eventually):
    other = Writer(writer.dsn, writer.url, model=2)
    other.create_model(rank=3)
    other.commit(
        {"only": (5, 0.5, (1.0, 1.0, 1.0))},
        {"alice": (1, 0.0, (0.0, 0.0, 1.0))},
        [("alice", "gone", 4.0)],
    )

    def model():
        body = client.get("/recommend?user=alice").json()
        assert body["items"], "never an empty list while models change"
        return body["model"]

    eventually(lambda: model() == 2, "the new model")
    # μ = (4 + 2.75) / 2 = 3.375, + 0.5 + 1
    assert client.get("/predict?user=alice&item=only").json()["items"][0]["score"] == 4.875


def test_before_there_is_a_model_the_catalogue_is_recommended(writer, start, eventually):
    writer.catalogue(("a", "Alien (1979)", {}), ("d", "Dune (1984)", {}))
    with start(writer) as client:
        eventually(lambda: client.get("/recommend?user=alice").status_code == 200, "a catalogue")
        body = client.get("/recommend?user=alice").json()
        assert [item["item"] for item in body["items"]] == ["a", "d"]
        assert (body["model"], body["source"]) == (None, "popular")
        assert body["as_of"] == {"batch": 0, "offsets": {}, "at": None}
        predicted = client.get("/predict?user=alice&item=a").json()["items"][0]
        assert (predicted["score"], predicted["source"]) == (2.75, "mean")
        assert "no serving model" in client.get("/health/ready").json()["detail"]
        writer.hand_model()
        eventually(lambda: client.get("/health/ready").status_code == 200, "the first model")
        # Ready as soon as there is a model, even before its first micro-batch.
        eventually(lambda: recommended(client) == ["d", "c"], "the first micro-batch")


def test_ready_only_after_enough_ratings(writer, start, eventually):
    writer.hand_model()
    with start(writer, ready_after=5) as client:
        eventually(lambda: client.get("/predict?user=a&item=a").status_code == 200, "loaded")
        refused = client.get("/health/ready")
        assert refused.status_code == 503
        assert "4 of 5 ratings" in refused.json()["detail"]
        writer.commit({}, {}, [("bob", "b", 1.0)])
        eventually(lambda: client.get("/health/ready").status_code == 200, "five ratings")


@pytest.fixture
def own(stores: OwnStores, start, eventually):
    """Writer and client over stores that this test may stop."""
    writer = Writer(stores.dsn, stores.redis.url)
    writer.hand_model()
    with start(writer) as client:
        eventually(lambda: client.get("/health/ready").status_code == 200, "ready")
        yield stores, writer, client


def test_stores_stopped_and_started_again(own, eventually):
    stores, writer, client = own
    normal = client.get("/recommend?user=alice").json()
    client.get("/recommend?user=bob")

    # Redis away: Postgres answers, and new micro-batches are found there.
    stores.redis.stop()
    body = client.get("/recommend?user=alice").json()
    assert body["items"] == normal["items"]
    assert body["stale"] is False
    writer.commit({"x": HIGH}, {"alice": ALICE}, [("alice", "d", 5.0)], project=False)
    assert recommended(client, after="0:4") == ["x", "c"]

    # Both away: memory answers and says so.
    stores.postgres.stop()
    for user in ("alice", "bob", "nobody"):
        body = client.get("/recommend", params={"user": user}).json()
        assert body["stale"] is True
        assert body["items"]
    assert recommended(client) == ["x", "c"]
    assert recommended(client, "bob")[0] == "x"
    assert client.get("/predict?user=bob&item=a").json()["items"][0]["source"] == "model"
    # The item side notices at its next reading, refresh_seconds later at most.
    eventually(lambda: client.get("/items/a").json()["stale"], "the item side knows")
    for path in ("/items/search?q=alien", "/model", "/users/alice/ratings", "/items/a"):
        body = client.get(path).json()
        assert body["stale"] is True, path
    assert client.get("/users/alice/ratings").json()["items"]

    # Back, Redis empty: nobody has to be told.
    stores.postgres.launch()
    stores.postgres.await_ready()
    eventually(
        lambda: client.get("/recommend?user=alice").json()["stale"] is False, "Postgres back"
    )
    stores.redis.launch()
    stores.redis.await_ready()
    writer.commit({"y": HIGH}, {"alice": ALICE}, [("alice", "c", 5.0)])
    assert recommended(client, after="0:5")[:2] == ["x", "y"]


@pytest.mark.parametrize("told", [True, False], ids=["by the stream", "by Postgres"])
def test_who_is_deleted_is_not_remembered_either(own, eventually, told):
    stores, writer, client = own
    for user in ("alice", "bob"):
        assert client.get(f"/users/{user}").json()["ratings"] == 2
        client.get(f"/recommend?user={user}")
        assert client.get(f"/users/{user}/similar").json()["users"]
    assert writer.next_offset == 4
    writer.forget("alice", project=told)
    assert client.get("/recommend?user=x&after=0:4").status_code == 200
    similar = client.get("/users/bob/similar").json()["users"]
    assert "alice" not in [one["user"] for one in similar]

    # Nobody can be asked any more: only what is remembered is left.
    stores.redis.stop()
    stores.postgres.stop()
    assert client.get("/users/bob").json()["ratings"] == 2
    gone, stranger = (
        client.get(f"/recommend?user={user}").json() for user in ("alice", "never-seen")
    )
    assert gone["items"] == stranger["items"]
    assert client.get("/users/alice").json()["source"] == "none"


def test_deleted_users_are_unknown(client, writer):
    stranger = client.get("/recommend?user=never-seen").json()["items"]
    writer.forget("alice")
    assert client.get("/recommend?user=alice&after=0:4").json()["items"] == stranger
    described = client.get("/users/alice").json()
    assert described == {**client.get("/users/never-seen").json(), "user": "alice"}
    assert (described["ratings"], described["source"]) == (0, "none")
    assert client.get("/users/alice/ratings").json()["items"] == []
    assert "alice" not in client.get("/users").json()["ids"]


def test_postgres_away_the_stream_is_followed(own):
    stores, writer, client = own
    stores.postgres.stop()
    writer.batch, writer.learned = 2, 5
    writer.project({"x": HIGH}, {"alice": ALICE}, [("alice", "d", 5.0)], 1.7e9)
    assert recommended(client, after="0:4") == ["x", "c"]
    body = client.get("/recommend?user=alice").json()
    assert body["stale"] is False


def test_started_before_its_stores(stores, start, eventually):
    writer = Writer(stores.dsn, stores.redis.url)
    writer.hand_model()
    stores.postgres.stop()
    stores.redis.stop()
    with start(writer) as client:
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 503
        refused = client.get("/recommend?user=alice")
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        stores.postgres.launch()
        stores.postgres.await_ready()
        eventually(lambda: client.get("/health/ready").status_code == 200, "without Redis")
        assert recommended(client) == ["d", "c"]
        stores.redis.launch()


def test_while_a_model_is_loaded_readiness_says_how_much_of_it_is(
    writer, start, eventually, monkeypatch
):
    """Stopped after the first part of the rows; the limit is on this test's own waiting."""
    monkeypatch.setattr("storage.arrow_reader.BYTES_PER_BATCH", 1)
    writer.hand_model()
    writer.sql("ANALYZE item_rows_1")
    held, go_on = threading.Event(), threading.Event()
    read = Progress.read

    def halting(self, items, of):
        read(self, items, of)
        if items:
            held.set()
            assert go_on.wait(10)

    monkeypatch.setattr(Progress, "read", halting)
    with start(writer) as client:
        assert held.wait(10)
        refused = client.get("/health/ready")
        go_on.set()
        assert refused.status_code == 503
        assert "1 of about 3 items have been loaded" in refused.json()["detail"]
        eventually(lambda: client.get("/health/ready").status_code == 200, "ready")
