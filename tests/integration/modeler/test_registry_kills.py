"""Promote, rollback and retire, killed at every named step: always exactly one model serves.

Each is one transaction on Postgres: the command, or the modeler's keeper, is a plain process.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import psycopg2
import pytest

from modeler import models, steps
from modeler.keeping import Housekeeping
from modeler.steps import Change
from modeler.verify import VerifySettings, sums_of_all
from recommender.errors import Refused
from storage.models import Registry
from storage.settings import PostgresSettings
from tests.fakes.engine import RATINGS, Engine, assert_every_learning_model_has_learned_all
from tests.integration.storage.made import add_candidate

# What one is in: 1 served before, 2 serves, 3 never has.
BEFORE = {1: "candidate", 2: "serving", 3: "candidate"}
AFTER = {
    "promote": {1: "retired", 2: "candidate", 3: "serving"},
    "rollback": {1: "serving", 2: "candidate", 3: "candidate"},
    "retire": {1: "candidate", 2: "serving", 3: "retired"},
}
COMMANDS: dict[str, Callable[[], None]] = {
    "promote": lambda: models.promote(3, force=True),
    "rollback": lambda: models.rollback(),
    "retire": lambda: models.retire(3),
}


@pytest.fixture
def three(registry: Registry, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("RECOMMENDER_POSTGRES_DSN", engine.dsn)
    monkeypatch.setenv("RECOMMENDER_KEEP_MODELS", "1")
    add_candidate(engine.dsn)
    models.promote(2, force=True)
    add_candidate(engine.dsn)
    engine.learn(RATINGS)
    assert statuses(registry) == BEFORE
    return engine


def statuses(registry: Registry) -> dict[int, str]:
    return {one.model: one.status for one in registry.models()}


def killed_at(moment: Change, work: Callable[[], object]) -> int:
    """Do it in a fork of this process, which kills itself there; its exit code."""
    child = os.fork()
    if not child:
        steps._KILL_AT = moment.word
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def assert_all_is_well(engine: Engine) -> None:
    """One serves, and it, and each candidate, learns what comes and has learned all there is."""
    engine.learn([*RATINGS, ("new", "a", 2.0)])
    assert_every_learning_model_has_learned_all(engine.dsn)
    assert all(one.agree for one in sums_of_all(VerifySettings(postgres_dsn=engine.dsn)).values())


@pytest.mark.parametrize(
    ("command", "moment"),
    [
        ("promote", Change.PROMOTING),
        ("rollback", Change.ROLLING_BACK),
        ("retire", Change.RETIRING),
    ],
)
def test_killed_before_the_commit_nothing_has_changed_and_it_can_be_done_again(
    three: Engine, registry: Registry, command: str, moment: Change
) -> None:
    assert killed_at(moment, COMMANDS[command]) == -9
    assert statuses(registry) == BEFORE
    assert_all_is_well(three)
    COMMANDS[command]()
    assert statuses(registry) == AFTER[command]
    assert_all_is_well(three)


@pytest.mark.parametrize(
    ("command", "moment", "again"),
    [
        ("promote", Change.PROMOTED, "model 3 is serving; only a candidate is promoted"),
        ("rollback", Change.ROLLED_BACK, None),  # and forth again
        ("retire", Change.RETIRED, "model 3 is retired already"),
    ],
)
def test_killed_after_the_commit_it_is_done_and_again_is_harmless(
    three: Engine, registry: Registry, command: str, moment: Change, again: str | None
) -> None:
    assert killed_at(moment, COMMANDS[command]) == -9
    assert statuses(registry) == AFTER[command]
    assert_all_is_well(three)
    if again is None:
        COMMANDS[command]()
        assert statuses(registry) == BEFORE
    else:
        with pytest.raises(Refused, match=again):
            COMMANDS[command]()
        assert statuses(registry) == AFTER[command]
    assert_all_is_well(three)


def test_killed_while_it_drops_the_rows_of_a_retired_model_the_next_one_does(
    three: Engine, registry: Registry
) -> None:
    registry.retire(3)
    with psycopg2.connect(three.dsn) as opened, opened.cursor() as cur:
        cur.execute("UPDATE models SET retired_at = retired_at - interval '1 hour' WHERE model = 3")
    opened.close()

    def keep() -> None:
        Housekeeping().look(Registry(PostgresSettings(postgres_dsn=three.dsn)))

    assert killed_at(Change.SWEEPING, keep) == -9
    assert_all_is_well(three)
    assert registry.sweep() == [3]
    assert_all_is_well(three)
