"""The registry on a real Postgres: promote, roll back, retire, at any moment of a micro-batch."""

from __future__ import annotations

import threading
from contextlib import closing

import psycopg2
import pytest

from recommender.errors import Refused, UnknownModel
from storage.models import CHANNEL, Registry
from storage.settings import PublishSettings
from tests.fakes.engine import RATINGS, Engine, assert_every_learning_model_has_learned_all
from tests.integration.storage.made import add_candidate

SETTINGS = PublishSettings(gate_ratings=10)


def statuses(registry: Registry) -> dict[int, str]:
    return {one.model: one.status for one in registry.models()}


def test_the_first_model_serves_since_it_was_made(registry: Registry) -> None:
    (only,) = registry.models()
    assert (only.status, only.batch, only.ratings, only.parent) == ("serving", 1, 4, None)
    assert only.served_at == only.created_at
    assert registry.serving() == only


def test_promote_keeps_the_old_one_learning_and_rollback_brings_it_back(
    registry: Registry, engine: Engine
) -> None:
    add_candidate(engine.dsn)
    engine.learn(RATINGS)
    registry.promote(2, SETTINGS, force=True)
    assert statuses(registry) == {1: "candidate", 2: "serving"}
    engine.learn(RATINGS)
    assert_every_learning_model_has_learned_all(engine.dsn)
    assert registry.rollback() == 1
    assert statuses(registry) == {1: "serving", 2: "candidate"}
    assert registry.rollback() == 2  # and forth again
    engine.learn(RATINGS)
    assert_every_learning_model_has_learned_all(engine.dsn)


def test_of_those_that_served_before_only_so_many_are_kept(
    registry: Registry, engine: Engine
) -> None:
    for model in (2, 3, 4):
        add_candidate(engine.dsn)
        registry.promote(model, SETTINGS, force=True)
    assert statuses(registry) == {1: "retired", 2: "retired", 3: "candidate", 4: "serving"}
    registry.promote(3, PublishSettings(keep_models=0), force=True)
    assert statuses(registry)[4] == "retired"
    with pytest.raises(Refused, match="no model that served before"):
        registry.rollback()


def test_a_candidate_that_never_served_is_not_counted_among_those(
    registry: Registry, engine: Engine
) -> None:
    add_candidate(engine.dsn)
    add_candidate(engine.dsn)
    registry.promote(2, SETTINGS, force=True)
    assert statuses(registry) == {1: "candidate", 2: "serving", 3: "candidate"}
    assert registry.rollback() == 1


def test_without_force_the_gate_decides(registry: Registry, engine: Engine) -> None:
    add_candidate(engine.dsn)
    with pytest.raises(Refused, match=r"waiting.*tested on 0 of at least 10 ratings"):
        registry.promote(2, SETTINGS)
    for batch in range(12):
        engine.learn(RATINGS, {1: 1.0 + batch % 3 * 0.1, 2: 2.0 + batch % 4 * 0.1})
    with pytest.raises(Refused, match="failed"):
        registry.promote(2, SETTINGS)
    add_candidate(engine.dsn)
    for batch in range(12):
        engine.learn(RATINGS, {1: 1.0 + batch % 3 * 0.1, 3: 0.5 + batch % 4 * 0.1})
    judged = {one.version.model: one for one in registry.judged(SETTINGS)}
    # 48 ratings since 3 joined: serving 12 · 1.1 / 48, candidate 12 · 0.65 / 48
    assert judged[3].losses.rmse() == pytest.approx(((0.65 / 4) ** 0.5, (1.1 / 4) ** 0.5))
    assert registry.promote(3, SETTINGS).state == "passed"
    assert statuses(registry) == {1: "candidate", 2: "candidate", 3: "serving"}
    assert "passed the gate: RMSE" in registry.model(3).reason


def test_what_is_no_candidate_is_not_promoted(registry: Registry, engine: Engine) -> None:
    add_candidate(engine.dsn)
    registry.retire(2)
    with pytest.raises(Refused, match="model 2 is retired"):
        registry.promote(2, SETTINGS, force=True)
    with pytest.raises(Refused, match="model 1 is serving"):
        registry.promote(1, SETTINGS, force=True)
    with pytest.raises(UnknownModel, match="there is no model 9"):
        registry.promote(9, SETTINGS, force=True)


def test_retire_lets_rows_go_after_a_while_and_never_those_in_service(
    registry: Registry, engine: Engine
) -> None:
    add_candidate(engine.dsn)
    with pytest.raises(Refused, match="model 1 serves"):
        registry.retire(1)
    registry.retire(2, "not wanted")
    assert registry.sweep() == []  # predictors may still be reading
    assert registry.sweep(grace=0) == [2]
    assert registry.sweep(grace=0) == []
    engine.learn(RATINGS)
    found = registry.model(2)
    assert (found.status, found.reason, found.batch) == ("retired", "not wanted", 1)
    with pytest.raises(Refused, match="retired already"):
        registry.retire(2)


def test_rows_that_somebody_reads_are_left_to_the_next_sweep(
    registry: Registry, engine: Engine
) -> None:
    add_candidate(engine.dsn)
    registry.retire(2)
    with closing(psycopg2.connect(engine.dsn)) as reader, reader.cursor() as cur:
        cur.execute("SELECT count(*) FROM user_rows")
        assert registry.sweep(grace=0) == []
    assert registry.sweep(grace=0) == [2]


def test_a_change_is_announced(registry: Registry, engine: Engine) -> None:
    add_candidate(engine.dsn)
    with closing(psycopg2.connect(engine.dsn)) as listener, listener.cursor() as cur:
        listener.autocommit = True
        cur.execute(f"LISTEN {CHANNEL}")
        registry.promote(2, SETTINGS, force=True)
        cur.execute("SELECT 1")
        assert [one.channel for one in listener.notifies] == [CHANNEL]


def test_a_change_waits_for_the_commit_of_a_micro_batch_and_the_next_sees_it(
    registry: Registry, engine: Engine
) -> None:
    """Whoever waited for a change must not go on with the models that there were before."""
    add_candidate(engine.dsn)
    opened = psycopg2.connect(engine.dsn)
    with closing(opened), opened.cursor() as commit:
        commit.execute("SELECT model FROM models WHERE status = 'serving' FOR UPDATE")
        change = threading.Thread(target=registry.promote, args=(2, SETTINGS), kwargs={"force": 1})
        change.start()
        change.join(0.5)
        assert change.is_alive()
        # A second commit lines up behind the change. Its one statement sees what that has done.
        seen: list[tuple[int, str]] = []

        def next_commit() -> None:
            with closing(psycopg2.connect(engine.dsn)) as second, second.cursor() as cur:
                cur.execute(
                    "SELECT model, status FROM models WHERE status IN ('candidate', 'serving') "
                    "ORDER BY model FOR UPDATE"
                )
                seen.extend(cur.fetchall())

        following = threading.Thread(target=next_commit)
        following.start()
        following.join(0.3)
        opened.rollback()
        change.join(10)
        following.join(10)
    assert seen == [(1, "candidate"), (2, "serving")]
