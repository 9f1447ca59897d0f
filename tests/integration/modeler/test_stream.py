"""The streaming modeler on real Kafka, Spark, Postgres and Redis: once, whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from local.postgres import Postgres, programs
from local.processes import REPOSITORY
from storage.dead_letters import list_dead_letters
from storage.keys import Keys
from storage.log import load
from storage.rated import decode
from tests.integration.modeler.conftest import Modeler, some_ratings
from tests.integration.modeler.state import (
    assert_projection_equals_truth,
    assert_rating_head_of_an_uninterrupted_run,
    await_projected,
)

MakeModeler = Callable[..., Modeler]


@pytest.fixture(scope="module")
def running(make_shared_modeler: MakeModeler) -> Modeler:
    """A modeler that the tests of live traffic send to in turn; only rated rows change with it."""
    modeler = make_shared_modeler(replay=0, ranking_rank=0, takeover_patience=1)
    modeler.start()
    modeler.send(some_ratings(10, seed=1))
    modeler.await_learned(10)
    return modeler


def test_duplicates_poison_and_catalogue(running: Modeler) -> None:
    kafka, before = running.kafka, running.learned()
    counted = running.sums()
    known = len(list_dead_letters(kafka))
    one = {"user": "u", "item": "i", "rating": 4.0, "timestamp": 1.0}
    running.send_raw([json.dumps(one | {"event_id": f"e{n % 3}"}).encode() for n in range(7)])
    load(kafka, kafka.items_topic, [(b"i", b'{"item":"i","title":"T","attributes":{"year":1999}}')])
    running.await_learned(before + 8)
    # the same events again in a later micro-batch, and records that cannot be read
    running.send_raw([json.dumps(one | {"event_id": "e1"}).encode()])
    poison = [b"{", b'{"user":"u"}', json.dumps(one | {"rating": 9}).encode(), b"\xff" * 900_000]
    running.send_raw([poison[0], json.dumps(one).encode(), *poison[1:]])
    running.await_learned(before + 14)

    sums = running.sums()
    assert sums.agree
    assert sums.records_learned - counted.records_learned == 13
    assert sums.duplicates - counted.duplicates == 5
    assert sums.dead_letters - counted.dead_letters == 4
    assert sums.ratings_stored - counted.ratings_stored == 4
    running.wait_for(
        lambda: running.query("SELECT bool_and(published) FROM dead_letters")[0][0],
        "dead letters published",
    )
    letters = list_dead_letters(kafka)[known:]
    assert [letter.value for letter in letters] == poison
    assert letters[2].reason.startswith("rating: 9")
    assert running.query("SELECT title, attributes FROM items") == [("T", {"year": 1999})]


def test_a_second_modeler_is_turned_away(running: Modeler) -> None:
    before = running.learned()
    running.send(some_ratings(10, seed=2))
    running.await_learned(before + 10)
    second = subprocess.run(
        [sys.executable, "-m", "modeler", "stream"],
        env={**os.environ, **running.environment},
        cwd=REPOSITORY,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert second.returncode == 3
    assert b"being learned by another modeler" in second.stderr
    assert b"Traceback" not in second.stderr
    running.send(some_ratings(10, seed=3))
    assert running.await_learned(before + 20).agree


def test_redis_is_a_projection_that_comes_back(running: Modeler) -> None:
    modeler = running
    before = modeler.learned()
    modeler.send([("u1", "i1", 4.0), ("u1", "i2", 2.0), ("u1", "i1", 5.0)])
    modeler.await_learned(before + 3)
    keys = Keys(modeler.environment["RECOMMENDER_REDIS_PREFIX"], 1)
    with redis.Redis.from_url(modeler.environment["RECOMMENDER_REDIS_URL"]) as client:

        def projected(records: int) -> bool:
            fields = client.hgetall(keys.state)
            offsets = json.loads(fields.get(b"offsets", b"{}"))
            reached = [offset for topic in offsets.values() for offset in topic.values()]
            return sum(reached) == before + records

        modeler.wait_for(lambda: projected(3), "the projection of three ratings")
        ((n, state),) = modeler.query("SELECT n, state FROM user_rows WHERE id = 'u1'")
        assert client.get(keys.user("u1")) == n.to_bytes(4, "little") + bytes(state)
        rated = decode(client.get(keys.rated("u1")))
        assert (rated["i1"], rated["i2"]) == (5.0, 2.0)

        client.flushall()
        modeler.wait_for(lambda: projected(3), "the projection, though nothing is learned")
        client.flushall()
        modeler.send([("u2", "i3", 1.0)])
        modeler.wait_for(lambda: projected(4), "the projection written anew")
        assert client.get(keys.user("u1")) == n.to_bytes(4, "little") + bytes(state)
        assert decode(client.get(keys.rated("u1"))) == rated
        ((_, entry),) = client.xrevrange(keys.changes, count=1)
        assert entry[b"reset"] == b"1"

        modeler.send([("u2", "i1", 1.0)])
        modeler.wait_for(lambda: projected(5), "the next micro-batch projected")
        ((_, entry),) = client.xrevrange(keys.changes, count=1)
        assert json.loads(entry[b"items"]) == ["i1"]
        assert "u2" in json.loads(entry[b"users"])  # and maybe u1, replayed
        assert json.loads(entry[b"rated"]) == ["u2"]


def test_a_lost_connection_is_taken_up_again(running: Modeler) -> None:
    before = running.learned()
    running.send(some_ratings(50, seed=4))
    running.await_learned(before + 50)
    # every connection of the modeler and its workers is cut
    running.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    running.send(some_ratings(50, seed=5))
    assert running.await_learned(before + 100).agree
    assert running.process is not None
    assert running.process.poll() is None


def test_a_backlog_in_blocks_survives_kills(make_modeler: MakeModeler) -> None:
    """Large micro-batches cut in blocks, a kill among them; then live traffic again."""
    settings = {"backlog": 500, "backlog_batch": 1000, "blocks": 3, "partitions": 3}
    modeler = make_modeler(**settings)
    ratings = some_ratings(6000, seed=6)
    modeler.send(ratings)
    modeler.send_raw([b"{", b'{"user":"u"}'])
    modeler.start()
    modeler.wait_for(lambda: modeler.learned() >= 1000, "the first micro-batch of the backlog")
    modeler.kill()
    modeler.start()
    sums = modeler.await_learned(6002)
    assert sums.agree
    assert (sums.ratings_stored, sums.dead_letters) == (6000, 2)
    modeler.send(some_ratings(20, seed=7))
    assert modeler.await_learned(6022).agree
    await_projected(modeler)
    assert_projection_equals_truth(modeler)
    assert b'"way":"backlog"' in (modeler.folder / "modeler.log").read_bytes()


def test_one_partition_and_one_block_of_a_backlog_is_an_uninterrupted_run(
    make_modeler: MakeModeler, postgres: Postgres, tmp_path: Path
) -> None:
    """Whatever is killed, and after a backup was restored as well."""
    modeler = make_modeler(passes=1, replay=0, backlog=300, backlog_batch=700, blocks=1)
    ratings = some_ratings(3000, seed=8)
    modeler.send(ratings)
    modeler.start()
    assert modeler.await_learned(3000).agree
    assert_rating_head_of_an_uninterrupted_run(modeler, ratings)

    # A backup of the running product, as docs/operations.md says; then more is learned, all of it
    # is lost, and the backup restored. The log has what the backup has not: once more, once.
    dump = tmp_path / "films.dump"
    run_program("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={modeler.dsn}")
    more = some_ratings(200, seed=9)
    modeler.send(more)
    assert modeler.await_learned(3200).agree
    modeler.kill()
    restored = postgres.create_database(f"restored_{uuid.uuid4().hex}")
    run_program("pg_restore", "--clean", "--if-exists", f"--dbname={restored}", str(dump))
    modeler.dsn = modeler.environment["RECOMMENDER_POSTGRES_DSN"] = restored
    assert modeler.sums().agree
    assert modeler.learned() == 3000
    modeler.start()
    sums = modeler.await_learned(3200)
    assert sums.agree
    assert (sums.records_learned, sums.ratings_stored) == (3200, 3200)
    assert_rating_head_of_an_uninterrupted_run(modeler, ratings + more)
    await_projected(modeler)
    assert_projection_equals_truth(modeler)  # Redis was ahead of the backup

    # And from the log alone: a new database comes to the same.
    modeler.kill()
    anew = postgres.create_database(f"anew_{uuid.uuid4().hex}", template="migrated")
    modeler.dsn = modeler.environment["RECOMMENDER_POSTGRES_DSN"] = anew
    modeler.start()
    assert modeler.await_learned(3200).agree
    assert_rating_head_of_an_uninterrupted_run(modeler, ratings + more)


def run_program(name: str, *arguments: str) -> None:
    """One of Postgres' own."""
    done = subprocess.run([programs() / name, *arguments], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


def test_one_event_by_two_partitions_counts_once(make_modeler: MakeModeler) -> None:
    """Tasks that read side by side cannot know of each other's event ids: one task reads again.

    And a micro-batch is read while the one before it, with the same event ids, is being committed.
    """
    modeler = make_modeler(backlog=5, backlog_batch=40, blocks=2, partitions=4)
    one = {"item": "i", "rating": 4.0, "timestamp": 1.0, "event_id": "once"}
    users = [f"u{number}" for number in range(20)]
    records = [(user.encode(), json.dumps(one | {"user": user}).encode()) for user in users]
    load(modeler.kafka, modeler.kafka.ratings_topic, records)
    modeler.start()
    modeler.wait_for(lambda: modeler.learned() >= 20, "all records learned")
    sums = modeler.sums()
    assert sums.agree
    assert (sums.ratings_stored, sums.duplicates) == (1, 19)

    events = [f"e{number % 40 + number // 80 * 40}" for number in range(160)]
    records = [
        (event.encode(), json.dumps(one | {"user": f"v{event}", "event_id": event}).encode())
        for event in events
    ]
    load(modeler.kafka, modeler.kafka.ratings_topic, records)
    modeler.wait_for(lambda: modeler.learned() >= 180, "all records learned")
    sums = modeler.sums()
    assert sums.agree
    assert (sums.ratings_stored, sums.duplicates) == (81, 99)
