"""What the modeler does by itself with models: gate, drift, scheduled refits."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg2
import pytest

from modeler.drift_watch import DriftWatch
from modeler.keeper_settings import KeeperSettings
from modeler.keeping import Housekeeping, Keeper, Publishing
from modeler.refit_schedule import RefitSchedule
from modeler.settings import ModelerSettings
from recommender.clock import Clock
from storage.joining import Trainee
from storage.models import Registry
from storage.settings import PostgresSettings, PublishSettings
from tests.fakes.engine import RATINGS, Engine
from tests.integration.storage.made import add_candidate


def sql(dsn: str, text: str) -> list[tuple]:
    with closing(psycopg2.connect(dsn)) as opened, opened, opened.cursor() as cur:
        cur.execute(text)
        return cur.fetchall() if cur.description else []


def refit_of(engine: Engine) -> int:
    """A candidate that looks like a refit."""
    model = add_candidate(engine.dsn)
    sql(
        engine.dsn,
        f"UPDATE models SET trained_to = '{{}}'::jsonb || '{{\"ratings\": {{}}}}' "
        f"WHERE model = {model}",
    )
    return model


def test_a_refit_that_passes_the_gate_is_promoted_where_that_is_switched_on(
    registry: Registry, engine: Engine
) -> None:
    settings = PublishSettings(gate_ratings=40)
    refit_of(engine)
    random = np.random.default_rng(2)
    for switched_on in (False, True):
        for _ in range(15):
            hard = random.uniform(1, 5)
            engine.learn(RATINGS, {1: hard, 2: hard * 0.9})
        Publishing(settings, switched_on).look(registry)
        assert registry.model(2).status == ("serving" if switched_on else "candidate")


def test_one_that_fails_stays_with_the_reason_and_one_kept_for_rollback_is_left_alone(
    registry: Registry, engine: Engine
) -> None:
    settings = PublishSettings(gate_ratings=40)
    refit_of(engine)
    random = np.random.default_rng(3)
    for _ in range(15):
        hard = random.uniform(1, 5)
        engine.learn(RATINGS, {1: hard, 2: hard * 1.4})
    Publishing(settings, promote=True).look(registry)
    assert registry.model(2).status == "candidate"
    assert registry.model(2).reason.startswith("did not pass the gate: RMSE ")
    registry.promote(2, settings, force=True)
    Publishing(settings, promote=True).look(registry)  # 1 is better, but it was taken back
    assert registry.model(1).status == "candidate"


def test_drift_of_the_serving_model_is_noted_once_and_asks_for_a_refit(
    registry: Registry, engine: Engine
) -> None:
    settings = KeeperSettings(keeper_stretch=8, drift_warm_up=10, drift_threshold=12)
    random = np.random.default_rng(5)
    asked: list[str] = []
    watch = DriftWatch(settings, asked.append)
    for _ in range(60):
        engine.learn(RATINGS, {1: 4 * random.normal(0.8, 0.05)})
    watch.look(registry)
    assert asked == []
    for _ in range(60):
        engine.learn(RATINGS, {1: 4 * random.normal(1.3, 0.05)})
    watch.look(registry)
    assert len(asked) == 1
    ((model, batch, usual, loss),) = sql(engine.dsn, "SELECT model, batch, usual, loss FROM drifts")
    # λ / (4 - δ) = 3.4 stretches of two micro-batches after the 61st
    assert (model, 62 < batch < 75) == (1, True)
    assert usual == pytest.approx(0.8, abs=0.03)
    assert loss == pytest.approx(1.3, abs=0.15)
    DriftWatch(settings, asked.append).look(registry)  # a new modeler notes nothing again
    assert len(asked) == 1
    assert len(sql(engine.dsn, "SELECT 1 FROM drifts")) == 1


CHILD = "import sys, time; open(sys.argv[1], 'a').write(repr(sys.argv[2:])); {end}"


@pytest.fixture
def refits(tmp_path: Path) -> Callable[..., tuple[RefitSchedule, Path, list[float]]]:
    def make(end: str, **settings: object) -> tuple[RefitSchedule, Path, list[float]]:
        time_now = [time.time()]
        told = tmp_path / "told"
        told.write_text("")
        command = [sys.executable, "-c", CHILD.format(end=end), str(told)]
        clock = Clock(lambda: time_now[0])
        return RefitSchedule(KeeperSettings(**settings), clock, command), told, time_now

    return make


def await_end(schedule: RefitSchedule, registry: Registry) -> None:
    deadline = time.monotonic() + 20
    while schedule.running:
        assert time.monotonic() < deadline
        time.sleep(0.02)
        schedule.look(registry)


def test_a_refit_is_started_when_it_is_due_and_one_that_fails_waits_its_turn(
    registry: Registry, refits: Callable[..., tuple[RefitSchedule, Path, list[float]]]
) -> None:
    schedule, told, now = refits("sys.exit(1)", refit_every=2.0)
    schedule.look(registry)
    assert not schedule.running
    now[0] += 2 * 3600
    schedule.look(registry)
    assert schedule.running
    await_end(schedule, registry)
    assert told.read_text() == "['--reason', 'due every 2 h', '--niceness', '15']"
    now[0] += 3600
    schedule.look(registry)
    assert not schedule.running
    now[0] += 3600
    schedule.look(registry)
    assert schedule.running
    schedule.close()


def test_one_on_request_is_ended_with_the_modeler(
    registry: Registry, refits: Callable[..., tuple[RefitSchedule, Path, list[float]]]
) -> None:
    schedule, _, _ = refits("time.sleep(60)")
    schedule.look(registry)
    assert not schedule.running
    schedule.request("drift")
    schedule.look(registry)
    assert schedule.running
    started = time.monotonic()
    schedule.close()
    assert time.monotonic() - started < 10


def test_housekeeping_clears_away_what_a_dead_trainer_left(
    registry: Registry, engine: Engine
) -> None:
    trainee = Trainee.begin(PostgresSettings(postgres_dsn=engine.dsn), "ratings", {})
    Housekeeping().look(registry)
    assert registry.model(2).status == "training"
    trainee.close()
    deadline = time.monotonic() + 10
    while registry.model(2).status == "training":
        assert time.monotonic() < deadline
        Housekeeping().look(registry)


def test_the_thread_goes_on_after_a_failure_and_after_a_lost_connection(engine: Engine) -> None:
    class Counting:
        looks = 0

        def look(self, registry: Registry) -> None:
            self.looks += 1
            registry.models()
            if self.looks == 1:
                raise RuntimeError("for once")
            if self.looks == 2:
                sql(
                    engine.dsn,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()",
                )

        def close(self) -> None: ...

    duty = Counting()
    settings = ModelerSettings(postgres_dsn=engine.dsn, keeper_seconds=0.05)
    with closing(Keeper(settings, [duty])):
        deadline = time.monotonic() + 20
        while duty.looks < 5:
            assert time.monotonic() < deadline
            time.sleep(0.02)
