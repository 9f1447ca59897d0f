"""A race on the live stream: exact copies, the worse taken out, the leader through the gate."""

from __future__ import annotations

import threading
from contextlib import closing

import numpy as np
import psycopg2
import pytest

from benchmarks.live_race import standing
from modeler.keeper_settings import KeeperSettings
from modeler.race_keeping import RaceKeeping
from recommender.errors import InvalidInput, Refused
from storage.models import Registry
from storage.races import copy_model, described_race, start_race, stop_race
from storage.settings import PostgresSettings
from tests.fakes.engine import RATINGS, Engine, assert_every_learning_model_has_learned_all

SETTINGS = {"keeper_stretch": 8, "gate_ratings": 100, "race_width": 4}


def rows(dsn: str, model: int) -> list[tuple]:
    with closing(psycopg2.connect(dsn)) as opened, opened.cursor() as cur:
        found = []
        for side in ("user", "item"):
            cur.execute(f"SELECT id, n, state::text FROM {side}_rows_{model} ORDER BY id")
            found += cur.fetchall()
        return found


def test_a_copy_is_exact_though_micro_batches_go_on(
    registry: Registry, engine: Engine, postgres_settings: PostgresSettings
) -> None:
    race = start_race(registry, {})
    stopping = threading.Event()

    def go_on() -> None:
        count = 0
        while not stopping.is_set():
            engine.learn([*RATINGS, (f"new{count}", "a", 1.0)])
            count += 1

    learning = threading.Thread(target=go_on)
    learning.start()
    try:
        for _ in range(3):
            copy_model(postgres_settings, 1, {"learning_rate": 0.3}, race, "")
    finally:
        stopping.set()
        learning.join(30)
    # What the test's engine does to a row does not depend on settings: they go on being equal.
    assert rows(engine.dsn, 2) == rows(engine.dsn, 3) == rows(engine.dsn, 4) == rows(engine.dsn, 1)
    assert_every_learning_model_has_learned_all(engine.dsn)
    assert registry.model(2).settings["learning_rate"] == 0.3


def test_the_hopeless_is_taken_out_and_the_leader_promoted_where_that_is_switched_on(
    registry: Registry, engine: Engine, postgres_settings: PostgresSettings
) -> None:
    race = start_race(registry, {"race_width": 4})
    copy_model(postgres_settings, 1, {"learning_rate": 1.9}, race, "hopeless")
    copy_model(postgres_settings, 1, {"learning_rate": 0.4}, race, "better")
    random = np.random.default_rng(4)

    def learn(count: int) -> None:
        for _ in range(count):
            hard = random.uniform(3, 5)
            engine.learn(RATINGS, {1: hard, 2: hard * 1.5, 3: hard * 0.97})

    keeping = RaceKeeping(KeeperSettings(**SETTINGS), postgres_settings)
    learn(4)
    keeping.look(registry)  # two stretches: nobody is warm
    assert [one.status for one in registry.models()] == ["candidate", "candidate", "serving"]
    learn(60)
    keeping.look(registry)
    assert registry.model(2).status == "retired"
    assert "taken out of the race: worse than model 3" in registry.model(2).reason
    assert registry.model(3).reason == f"leads race {race}; proposed to serve"
    found = described_race(registry)
    assert found["contestants"][0]["model"] == 3
    assert found["contestants"][0]["ratings"] == 256
    assert [one["model"] for one in found["out"]] == [2]
    # 64 micro-batches of 4 ratings each, until the second was taken out in the last look
    told = standing(found, {1: "serves", 2: "hopeless", 3: "better"})
    assert told is not None
    assert (told.leader, told.judged, told.learned) == ("better", 256, {"hopeless": 256})
    assert f"after {told.out['hopeless']} ratings" in registry.model(2).reason
    assert list(told.rmse) == ["better", "serves"]
    best, serves, out = (one["curve"] for one in (*found["contestants"], *found["out"]))
    assert [point["ratings"] for point in best] == [4 * number for number in range(1, 65)]
    assert len(serves) == len(out) == 64
    assert all(b["rmse"] < o["rmse"] for b, o in zip(best, out, strict=True))
    # faded by hand: 4 ratings of a half-life of 20,000
    with closing(psycopg2.connect(engine.dsn)) as opened, opened.cursor() as cur:
        cur.execute("SELECT squared_error FROM micro_batches WHERE model = 3 ORDER BY batch")
        squared = np.array([error for (error,) in cur.fetchall()])[-64:]
    weights = 0.5 ** (4 * np.arange(64)[::-1] / 20_000)
    expected = np.sqrt((weights * squared).sum() / (4 * weights).sum())
    assert best[-1]["rmse"] == pytest.approx(expected, abs=1e-4)
    assert (found["cost"]["copies"], found["cost"]["share"]) == (1, 0.5)

    promoting = KeeperSettings(**SETTINGS, promote_race_leader=True)
    RaceKeeping(promoting, postgres_settings).look(registry)  # a new modeler comes to the same
    assert registry.model(3).status == "serving"
    assert registry.model(1).status == "candidate"
    stop_race(registry, "enough")
    assert (registry.model(3).status, registry.model(1).status) == ("serving", "candidate")
    assert described_race(registry)["state"] == "ended"
    assert_every_learning_model_has_learned_all(engine.dsn)


def test_a_neighbour_of_the_leader_takes_a_place_that_became_free(
    registry: Registry, engine: Engine, postgres_settings: PostgresSettings
) -> None:
    race = start_race(registry, {})
    copy_model(postgres_settings, 1, {"learning_rate": 1.9}, race, "hopeless")
    random = np.random.default_rng(7)
    for _ in range(60):
        hard = random.uniform(3, 5)
        engine.learn(RATINGS, {1: hard, 2: hard * 1.5})
    keeping = RaceKeeping(KeeperSettings(**SETTINGS, race_spawn=True), postgres_settings)
    keeping.look(registry)
    newcomer = registry.model(3)
    assert (newcomer.status, newcomer.parent) == ("candidate", 1)
    assert newcomer.settings["learning_rate"] != registry.model(1).settings["learning_rate"]
    engine.learn(RATINGS)
    engine.learn(RATINGS)
    keeping.look(registry)  # and is judged with the next stretch
    assert_every_learning_model_has_learned_all(engine.dsn)


def test_one_race_at_a_time_and_steps_alone_differ(
    registry: Registry, engine: Engine, postgres_settings: PostgresSettings
) -> None:
    with pytest.raises(Refused, match="no race is going on"):
        stop_race(registry, "")
    race = start_race(registry, {})
    with pytest.raises(Refused, match="race 1 is going on"):
        start_race(registry, {})
    with pytest.raises(InvalidInput, match="rank"):
        copy_model(postgres_settings, 1, {"rank": 3}, race, "")
    copy_model(postgres_settings, 1, {}, race, "")
    stop_race(registry, "enough")
    assert registry.model(2).status == "retired"
    assert registry.model(2).reason == "race 1 ended: enough"
