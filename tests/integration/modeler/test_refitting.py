"""A refit beside the stream: it catches up, joins, and misses nothing, whatever is killed when."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing

import numpy as np
import psycopg2
import pyarrow as pa
import pytest

from local.processes import REPOSITORY
from modeler import refitting, steps
from modeler.refitting import RefitJobSettings, refit_beside
from modeler.steps import Step
from modeler.verify import VerifySettings, sums_of_all
from recommender.datasets import IndexedRatings
from recommender.errors import InvalidData, Refused
from recommender.initial import Side
from recommender.refit import Epoch
from recommender.rows import Rows
from storage.joining import Trainee
from storage.models import Registry
from storage.settings import PostgresSettings
from tests.fakes.engine import SETTINGS, Engine, Rating, assert_every_learning_model_has_learned_all

QUICK = {
    "refit_rank": 5,
    "refit_ranking_rank": 6,
    "refit_epochs": 3,
    "refit_ranking_epochs": 6,
    "refit_validation_share": 0.2,
}


def some(count: int, seed: int, new: str = "") -> list[Rating]:
    drawn = random.Random(seed)
    return [
        (f"u{drawn.randrange(25)}{new}", f"i{drawn.randrange(40)}", drawn.randint(1, 10) / 2)
        for _ in range(count)
    ]


def job(dsn: str, **changed: object) -> RefitJobSettings:
    return RefitJobSettings(postgres_dsn=dsn, **{**QUICK, **changed})


@pytest.fixture
def engine(dsn: str) -> Iterator[Engine]:
    with closing(Engine(dsn)) as made:
        for seed in range(4):
            made.learn(some(150, seed), duplicates=seed)
        yield made


def query(dsn: str, text: str) -> list[tuple]:
    with closing(psycopg2.connect(dsn)) as opened, opened.cursor() as cur:
        cur.execute(text)
        return cur.fetchall()


def test_it_joins_as_a_candidate_with_the_serving_model_s_place_in_the_log(engine: Engine) -> None:
    joined = refit_beside(job(engine.dsn))
    version = joined.version
    assert (version.model, version.status, version.parent) == (2, "candidate", 1)
    assert (version.joined, version.batch, version.ratings) == (4, 4, 600)
    assert (version.settings["rank"], version.settings["ranking_rank"]) == (5, 6)
    assert version.settings["rating_max"] == SETTINGS.rating_max
    assert version.trained_to["ratings"].keys() == {"0", "1"}
    assert {"rmse", "mae", "ndcg@10", "epochs"} <= version.metrics.keys()
    assert_every_learning_model_has_learned_all(engine.dsn)
    engine.learn(some(30, 9, "new"))
    assert_every_learning_model_has_learned_all(engine.dsn)
    assert all(one.agree for one in sums_of_all(VerifySettings(postgres_dsn=engine.dsn)).values())


def test_the_error_of_als_is_kept_beside_its_own(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []

    def measured(train: IndexedRatings, *_: object) -> dict[str, float]:
        given.append(len(train.ratings))
        return {"als_rmse": 0.75}

    assert "als_rmse" not in refit_beside(job(engine.dsn)).version.metrics
    monkeypatch.setitem(refitting._BASELINES, "als", measured)
    kept = refit_beside(job(engine.dsn, refit_baseline="als")).version.metrics
    assert (kept["als_rmse"], given) == (0.75, [600])


def test_trained_anew_from_the_stored_ratings_it_has_the_same_figures(engine: Engine) -> None:
    for _ in range(2):
        refit_beside(job(engine.dsn))
    rows = [
        query(engine.dsn, f"SELECT id, n, state FROM {side}_rows_{model} ORDER BY id")
        for model in (2, 3)
        for side in ("user", "item")
    ]
    assert [(i, n, bytes(s)) for i, n, s in rows[0]] == [(i, n, bytes(s)) for i, n, s in rows[2]]
    assert [(i, n, bytes(s)) for i, n, s in rows[1]] == [(i, n, bytes(s)) for i, n, s in rows[3]]


def test_while_micro_batches_are_committed_all_the_time_nothing_is_missing_or_twice(
    engine: Engine,
) -> None:
    stopping = threading.Event()

    def go_on() -> None:
        seed = 100
        while not stopping.is_set():
            engine.learn(some(20, seed, "x" if seed % 3 else ""))
            seed += 1

    learning = threading.Thread(target=go_on)
    learning.start()
    try:
        joined = refit_beside(job(engine.dsn, refit_epochs=30, refit_ranking_epochs=30))
        time.sleep(0.3)
    finally:
        stopping.set()
        learning.join(30)
    assert joined.caught_up > 0
    assert joined.version.ratings == joined.snapshot + joined.caught_up
    batches = query(engine.dsn, "SELECT batch FROM models ORDER BY model")
    assert batches[0] == batches[1]
    assert batches[1][0] > joined.version.joined
    assert_every_learning_model_has_learned_all(engine.dsn)


def test_what_is_withdrawn_while_it_trains_does_not_come_back(engine: Engine) -> None:
    seen: list[Epoch] = []

    def withdraw(epoch: Epoch) -> None:
        seen.append(epoch)
        if len(seen) == 1:
            assert engine.withdraw("u1") > 0
            assert engine.withdraw("u2", "i1") + engine.withdraw("u3", "i2") > 0
            assert engine.withdraw("u4") > 0
            engine.learn([("u4", "i3", 5.0), ("u5", "i3", 4.0)])
            engine.withdraw("u5", "i3")
            engine.learn(some(40, 6, "new"))

    engine.learn([("u2", "i1", 3.0)])
    refit_beside(job(engine.dsn), progress=withdraw)
    assert_every_learning_model_has_learned_all(engine.dsn)
    users = dict(query(engine.dsn, "SELECT id, n FROM user_rows_2"))
    assert "u1" not in users
    assert users["u4"] == 1
    engine.withdraw("u6")
    engine.learn(some(30, 7))
    assert_every_learning_model_has_learned_all(engine.dsn)
    assert all(one.agree for one in sums_of_all(VerifySettings(postgres_dsn=engine.dsn)).values())


def test_a_history_that_used_freed_room_again_is_read_as_a_whole(engine: Engine) -> None:
    """New ratings may then lie before old ones; their number tells."""
    with closing(Trainee.begin(PostgresSettings(postgres_dsn=engine.dsn), "ratings", {})) as one:
        place, history = one.history()
        assert len(history) == 600
        engine.learn(some(10, 5))
        beyond = type(place)(**{**vars(place), "page": 10_000})
        assert len(one.gained(beyond)[1]) == 10
        now, gained = one.gained(place)
        assert len(gained) == 10
        assert one.gained(now)[1].num_rows == 0


def test_a_commit_that_waited_for_the_join_learns_for_the_new_model_too(engine: Engine) -> None:
    settings = PostgresSettings(postgres_dsn=engine.dsn)
    with closing(Trainee.begin(settings, "ratings", SETTINGS.model_dump(mode="json"))) as trainee:
        place, history = trainee.history()
        ids = {side: pa.compute.value_counts(history[side]).to_pylist() for side in _SIDES}
        changed = {side: counted(found) for side, found in ids.items()}
        waiting = threading.Thread(target=engine.learn, args=(some(25, 77),))

        def committed_meanwhile() -> None:
            waiting.start()
            waiting.join(0.5)
            assert waiting.is_alive()

        trainee.join(place, lambda _: changed, "", written=committed_meanwhile)
        waiting.join(30)
    assert query(engine.dsn, "SELECT rating_count FROM models") == [(625,), (625,)]
    assert_every_learning_model_has_learned_all(engine.dsn)


_SIDES: tuple[Side, Side] = ("user", "item")


def counted(found: list[Mapping[str, object]]) -> tuple[list[str], Rows]:
    rows = Rows.empty(len(found), SETTINGS.format)
    rows.n[:] = np.array([one["counts"] for one in found])
    return [str(one["values"]) for one in found], rows


def test_what_was_retired_meanwhile_does_not_join(engine: Engine) -> None:
    settings = PostgresSettings(postgres_dsn=engine.dsn)
    with (
        closing(Trainee.begin(settings, "ratings", {})) as trainee,
        closing(Registry(settings)) as registry,
    ):
        place, _ = trainee.history()
        registry.retire(trainee.model)
        with pytest.raises(Refused, match="retired while it was being trained"):
            trainee.join(place, lambda _: {}, "")


def test_where_the_history_and_the_counts_disagree_it_does_not_join(engine: Engine) -> None:
    settings = PostgresSettings(postgres_dsn=engine.dsn)
    with closing(Trainee.begin(settings, "ratings", {})) as trainee:
        place, _ = trainee.history()
        with closing(psycopg2.connect(engine.dsn)) as opened, opened, opened.cursor() as cur:
            cur.execute("DELETE FROM history WHERE ctid = (SELECT min(ctid) FROM history)")
            cur.execute("UPDATE models SET rating_count = rating_count - 1 WHERE model = 1")
        for _ in range(2):  # and when as many are given as were lost
            with pytest.raises(Refused, match="were found, but the serving model has counted"):
                trainee.join(place, lambda _: {}, "")
            engine.learn(some(1, 3))
        assert query(engine.dsn, "SELECT status FROM models WHERE model = 2") == [("training",)]


def test_one_training_at_a_time_and_never_without_a_rating(dsn: str) -> None:
    with closing(Engine(dsn)) as engine:
        with pytest.raises(InvalidData, match="no rating is stored"):
            refit_beside(job(dsn))
        engine.learn(some(100, 1))
        with (
            closing(Trainee.begin(PostgresSettings(postgres_dsn=dsn), "ratings", {})),
            pytest.raises(Refused, match="model 3 is being trained already"),
        ):
            refit_beside(job(dsn))
    with closing(Registry(PostgresSettings(postgres_dsn=dsn))) as registry:
        assert registry.model(2).reason == "its training did not end: the trainer is gone"


def killed_at(dsn: str, step: Step) -> int:
    """Refit in a fork of this process, which kills itself at the step; its exit code."""
    child = os.fork()
    if not child:
        steps._KILL_AT = step.word
        refit_beside(job(dsn))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_killed_at_every_step_it_leaves_nothing_that_counts(engine: Engine) -> None:
    refit_beside(job(engine.dsn))  # every kernel is compiled, all is imported: forks are quick
    fatal = [step for step in Step if step.in_refit]
    for number, step in enumerate(fatal, 3):
        assert killed_at(engine.dsn, step) == -9, step
        engine.learn(some(10, number))
        assert_every_learning_model_has_learned_all(engine.dsn)
        (status,) = query(engine.dsn, f"SELECT status FROM models WHERE model = {number}")
        assert status == ("candidate" if step is Step.JOINED else "training",)
    done = refit_beside(job(engine.dsn))
    assert done.snapshot == 600 + 10 * len(fatal)
    last = len(fatal) + 3
    assert dict(query(engine.dsn, "SELECT model, status FROM models")) == {
        **{1: "serving", 2: "candidate"},
        **dict.fromkeys(range(3, last - 1), "retired"),
        **{last - 1: "candidate", last: "candidate"},
    }
    assert_every_learning_model_has_learned_all(engine.dsn)


def test_the_command_says_what_it_has_made(engine: Engine) -> None:
    environment = {
        **os.environ,
        "RECOMMENDER_POSTGRES_DSN": engine.dsn,
        **{f"RECOMMENDER_{name.upper()}": str(value) for name, value in QUICK.items()},
    }
    done = subprocess.run(
        [sys.executable, "-m", "modeler", "refit", "--force-promote", "--json"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    told = json.loads(done.stdout)
    assert (told["model"], told["trained_on"], told["caught_up"]) == (2, 600, 0)
    assert query(engine.dsn, "SELECT status, reason FROM models WHERE model = 2")[0][0] == "serving"
