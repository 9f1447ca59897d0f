"""Several models learn one stream: the same ratings, in one transaction, while they come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest
import redis
from psycopg2.extensions import cursor

from modeler.steps import Step
from modeler.verify import VerifySettings, sums_of_all
from storage import keys
from storage.truth import CHANNEL, lock_learning
from tests.integration.modeler.conftest import Modeler, some_ratings
from tests.integration.modeler.state import assert_projection_equals_truth, await_projected

MakeModeler = Callable[..., Modeler]


@contextmanager
def registry(modeler: Modeler) -> Iterator[cursor]:
    """A change of the registry, as its contract says: the learning models locked, then told."""
    with closing(psycopg2.connect(modeler.dsn)) as opened, opened, opened.cursor() as cur:
        lock_learning(cur)
        yield cur
        cur.execute(f"NOTIFY {CHANNEL}")


def join_copy(modeler: Modeler, model: int, settings: str = "{}") -> None:
    """A candidate that has learned what the serving model has, to the bit."""
    with registry(modeler) as cur:
        cur.execute(
            """INSERT INTO models (model, status, settings, rating_sum, rating_count, batch)
               SELECT %s, 'candidate', settings || %s::jsonb, rating_sum, rating_count, batch
               FROM models WHERE status = 'serving' RETURNING
               (SELECT model FROM models WHERE status = 'serving')""",
            (model, settings),
        )
        ((parent,),) = cur.fetchall()
        for side in ("user", "item"):
            cur.execute(
                f"""CREATE TABLE {side}_rows_{model} PARTITION OF {side}_rows
                    FOR VALUES IN ({model})"""
            )
            cur.execute(
                f"""INSERT INTO {side}_rows SELECT {model}, id, n, batch, state
                    FROM {side}_rows_{parent}"""
            )
        cur.execute(
            f"""INSERT INTO offsets SELECT {model}, topic, partition, next_offset
                FROM offsets WHERE model = {parent}"""
        )


def rows(modeler: Modeler, model: int) -> dict[tuple[str, str], bytes]:
    return {
        (side, one): bytes(state)
        for side in ("user", "item")
        for one, state in modeler.query(f"SELECT id, state FROM {side}_rows_{model}")
    }


def assert_all_agree(modeler: Modeler, models: list[int]) -> None:
    settings = VerifySettings(postgres_dsn=modeler.dsn, ratings_topic=modeler.kafka.ratings_topic)
    found = sums_of_all(settings)
    assert list(found) == models
    assert all(one.agree for one in found.values()), found


@pytest.mark.timeout(600)
def test_candidates_learn_with_the_serving_model(make_modeler: MakeModeler) -> None:
    modeler = make_modeler(max_batch=100, takeover_patience=60)
    prefix = modeler.environment["RECOMMENDER_REDIS_PREFIX"]
    ratings = iter(some_ratings(10_000, seed=31))

    def learn(count: int) -> None:
        modeler.send([next(ratings) for _ in range(count)])
        modeler.await_learned(len(modeler.sent))

    modeler.start()
    learn(300)
    join_copy(modeler, 2)
    join_copy(modeler, 3, '{"learning_rate": 0.5}')
    learn(300)
    assert_all_agree(modeler, [1, 2, 3])
    assert rows(modeler, 2) == rows(modeler, 1)  # the same settings: the same bits
    assert rows(modeler, 3) != rows(modeler, 1)
    (one,), (two,), (three,) = (
        modeler.query(
            f"SELECT sum(squared_error) FROM micro_batches WHERE model = {model}"
            " AND total_ratings > 300"
        )
        for model in (1, 2, 3)
    )
    assert one == two != three

    # killed in the middle of a commit of all three
    modeler.kill()
    modeler.environment["RECOMMENDER_KILL_AT"] = f"{Step.MERGED.word}:2"
    modeler.start()
    modeler.send([next(ratings) for _ in range(250)])
    assert modeler.process is not None
    modeler.wait_for(lambda: modeler.process.poll() is not None, "the kill")
    del modeler.environment["RECOMMENDER_KILL_AT"]
    modeler.start()
    modeler.await_learned(len(modeler.sent))
    assert_all_agree(modeler, [1, 2, 3])
    assert rows(modeler, 2) == rows(modeler, 1)
    for model in (1, 2, 3):
        await_projected(modeler, model)
        assert_projection_equals_truth(modeler, model)

    # another one serves, and the first is given up
    with redis.Redis.from_url(modeler.environment["RECOMMENDER_REDIS_URL"]) as client:
        assert client.get(keys.serving(prefix)) == b"1"
        with registry(modeler) as cur:
            cur.execute("UPDATE models SET status = 'candidate' WHERE model = 1")
            cur.execute("UPDATE models SET status = 'serving' WHERE model = 3")
        modeler.wait_for(lambda: client.get(keys.serving(prefix)) == b"3", "the promotion")
        with registry(modeler) as cur:
            cur.execute("UPDATE models SET status = 'retired' WHERE model = 1")
            cur.execute("DROP TABLE user_rows_1, item_rows_1")
            cur.execute("DELETE FROM offsets WHERE model = 1")
        start = keys.Keys(prefix, 1).start
        modeler.wait_for(
            lambda: not list(client.scan_iter(match=f"{start}*", count=10_000)), "its keys to go"
        )
    learn(200)
    assert_all_agree(modeler, [3, 2])
    for model in (2, 3):
        await_projected(modeler, model)
        assert_projection_equals_truth(modeler, model)


@pytest.mark.timeout(600)
def test_a_backlog_is_learned_by_all_and_live_traffic_can_become_one(
    make_modeler: MakeModeler,
) -> None:
    # Spark rounds a micro-batch of 100 down to 99 with three partitions.
    modeler = make_modeler(max_batch=100, backlog=2000, backlog_batch=2000, blocks=2, partitions=3)
    log = modeler.folder / "modeler.log"
    modeler.start()
    modeler.send(some_ratings(300, seed=32))
    modeler.await_learned(300)
    join_copy(modeler, 2)
    modeler.wait_for(lambda: '"others":[2]' in log.read_text().replace(" ", ""), "the candidate")
    assert '"way":"backlog"' not in log.read_text().replace(" ", "")
    modeler.send(some_ratings(9000, seed=33))
    modeler.await_learned(9300)
    assert '"way":"backlog"' in log.read_text().replace(" ", "")
    assert_all_agree(modeler, [1, 2])
    for model in (1, 2):
        await_projected(modeler, model)
        assert_projection_equals_truth(modeler, model)
