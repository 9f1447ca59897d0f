"""Several models learn one stream: the same ratings, in one transaction, while they come and go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest
import redis

from modeler.steps import Step
from modeler.verify import VerifySettings, sums_of_all
from storage import keys
from storage.models import Registry
from storage.settings import PostgresSettings, PublishSettings
from tests.integration.modeler.conftest import Modeler, some_ratings
from tests.integration.modeler.state import assert_projection_equals_truth, await_projected
from tests.integration.storage.made import add_candidate

MakeModeler = Callable[..., Modeler]


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
    add_candidate(modeler.dsn)
    add_candidate(modeler.dsn, learning_rate=0.5)
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
    # and once more, after a promotion of which Redis does not know: the first time is at the start
    modeler.environment["RECOMMENDER_KILL_AT"] = f"{Step.SERVING_AHEAD.word}:2"
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
        with closing(Registry(PostgresSettings(postgres_dsn=modeler.dsn))) as registry:
            registry.promote(3, PublishSettings(), force=True)
            modeler.wait_for(lambda: modeler.process.poll() is not None, "the kill")
            assert client.get(keys.serving(prefix)) == b"1"  # all of it is there still
            del modeler.environment["RECOMMENDER_KILL_AT"]
            modeler.start()
            modeler.wait_for(lambda: client.get(keys.serving(prefix)) == b"3", "the promotion")
            registry.retire(1)
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
    add_candidate(modeler.dsn)
    modeler.wait_for(lambda: '"others":[2]' in log.read_text().replace(" ", ""), "the candidate")
    assert '"way":"backlog"' not in log.read_text().replace(" ", "")
    modeler.send(some_ratings(9000, seed=33))
    modeler.await_learned(9300)
    assert '"way":"backlog"' in log.read_text().replace(" ", "")
    assert_all_agree(modeler, [1, 2])
    for model in (1, 2):
        await_projected(modeler, model)
        assert_projection_equals_truth(modeler, model)
