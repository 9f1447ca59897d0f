"""kill -9 at every named step of a micro-batch, and at random moments: nothing changes."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable

import pytest

from modeler.steps import Step
from storage.dead_letters import list_dead_letters
from tests.integration.modeler.conftest import Modeler, some_ratings
from tests.integration.modeler.state import (
    assert_projection_equals_truth,
    assert_rating_head_of_an_uninterrupted_run,
    await_projected,
)

MakeModeler = Callable[..., Modeler]

SEED = 20
RANDOM_KILLS = 2
# Each part of the stream has a bad record, so that every step is reached.
BAD = b'{"user":"u","item":"i","rating":77,"timestamp":1}'
EVENTS = [
    json.dumps(
        {"user": "u", "item": "i", "rating": 4, "timestamp": number, "event_id": f"e{number}"}
    ).encode()
    for number in range(5)
]


@pytest.mark.timeout(900)
def test_kills_at_every_step_and_at_random_change_nothing(make_modeler: MakeModeler) -> None:
    modeler = make_modeler(passes=1, replay=0, max_batch=50, takeover_patience=60)
    ratings = iter(some_ratings(100_000, seed=SEED))
    bad = events = 0

    def send(count: int = 120) -> int:
        nonlocal bad
        modeler.send([next(ratings) for _ in range(count)])
        modeler.send_raw([BAD])
        bad += 1
        return len(modeler.sent) + bad + max(0, events - len(EVENTS))

    def send_events() -> None:
        nonlocal events
        modeler.send_raw(EVENTS)
        if not events:
            modeler.sent += [("u", "i", 4.0)] * len(EVENTS)
        events += len(EVENTS)

    def check() -> None:
        sums = modeler.sums()
        assert sums.agree, sums

    # A worker that dies does not end the modeler: one process goes through all steps of a task.
    in_task = [step for step in Step if step.in_task]
    modeler.environment["RECOMMENDER_KILL_AT"] = ",".join(
        f"{step.word}:{number + 1}" for number, step in enumerate(in_task)
    )
    end = send(600)
    modeler.start()
    modeler.await_learned(end)
    check()
    log = (modeler.folder / "modeler.log").read_text()
    assert log.count("learning interrupted") >= len(in_task)
    modeler.kill()

    for step in Step:
        if step.in_task or step.in_refit:
            continue
        modeler.environment["RECOMMENDER_KILL_AT"] = f"{step.word}:1"
        send_events()  # whatever the last kill left of them: each counts once
        send()
        modeler.start()
        assert modeler.process is not None
        assert modeler.wait_for(lambda: modeler.process.poll(), f"the kill at {step.word}") == -9
        check()

    del modeler.environment["RECOMMENDER_KILL_AT"]
    moments = random.Random(SEED)
    for _ in range(RANDOM_KILLS):
        send()
        modeler.start()
        before = modeler.learned()
        modeler.wait_for(lambda before=before: modeler.learned() > before, "learning to go on")
        time.sleep(moments.uniform(0, 0.5))
        modeler.kill()
        check()

    end = send()
    modeler.start()
    sums = modeler.await_learned(end)
    assert sums.ratings_stored == len(modeler.sent)
    assert sums.duplicates == events - len(EVENTS)
    check()
    await_projected(modeler)
    assert_projection_equals_truth(modeler)
    assert_rating_head_of_an_uninterrupted_run(modeler, modeler.sent)
    published = "SELECT bool_and(published) FROM dead_letters"
    modeler.wait_for(lambda: modeler.query(published)[0][0], "dead letters published")
    letters = list_dead_letters(modeler.kafka)
    assert len(letters) == bad  # each once, wherever their carrier was killed
    assert {letter.value for letter in letters} == {BAD}
