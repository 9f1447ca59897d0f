"""Poison in quantity, and dead letters listed and sent again, on real stores."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from modeler.__main__ import app
from recommender.errors import InvalidInput, RecommenderError
from storage.dead_letters import list_dead_letters
from storage.log import load
from tests.integration.modeler.conftest import Modeler
from tests.unit.modeler.test_records import POISON

MakeModeler = Callable[..., Modeler]

RECORDS, BAD_IN = 20_000, 20


def test_one_bad_record_in_twenty_stops_nothing_and_is_not_lost(make_modeler: MakeModeler) -> None:
    modeler = make_modeler(max_batch=RECORDS)
    kinds = list(POISON.values())
    values: list[bytes | None] = []
    for number in range(RECORDS):
        rating = {"user": f"u{number % 97}", "item": f"i{number % 89}", "rating": 3.5}
        values.append(json.dumps(rating).encode())
    places = random.Random(3).sample(range(RECORDS), RECORDS // BAD_IN)
    for number, place in enumerate(places):
        values[place] = kinds[number % len(kinds)]
    load(modeler.kafka, modeler.kafka.ratings_topic, ((b"key", value) for value in values))

    modeler.start()
    sums = modeler.await_learned(RECORDS)
    assert sums.agree
    assert (sums.records_learned, sums.dead_letters) == (RECORDS, len(places))
    assert sums.ratings_stored == RECORDS - len(places)
    assert modeler.query("SELECT count(*) FROM micro_batches") == [(1,)]
    learned = {offset for (offset,) in modeler.query('SELECT "offset" FROM ratings')}
    assert learned == set(range(RECORDS)) - set(places)
    kept = modeler.query('SELECT "offset", value FROM dead_letters')
    assert {o: None if v is None else bytes(v) for o, v in kept} == {o: values[o] for o in places}
    waiting = "SELECT count(*) FROM dead_letters WHERE NOT published"
    modeler.wait_for(lambda: modeler.query(waiting) == [(0,)], "dead letters published")
    letters = list_dead_letters(modeler.kafka, RECORDS)
    assert sorted(letter.offset for letter in letters) == sorted(places)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def call(modeler: Modeler, *arguments: str) -> Result:
        for name, value in modeler.environment.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(app, ["dead-letters", *arguments])

    return call


def test_letters_are_listed_and_sent_again_once(
    make_modeler: MakeModeler, run: Callable[..., Result]
) -> None:
    modeler = make_modeler()
    good = b'{"user":"u","item":"i","rating":4.0,"timestamp":1}'
    bad = [
        b'{"user":"u"',
        b'{"user":"\x1b[31m","item":"i","rating":4}',
        good.replace(b"4.0", b"77"),
    ]
    modeler.send_raw([bad[0], good, bad[1], bad[2]])
    modeler.start()
    modeler.await_learned(4)

    listed = json.loads(run(modeler, "list", "--json").stdout)
    assert [letter["offset"] for letter in listed] == [0, 2, 3]
    assert listed[2]["reason"].startswith("rating: 77")
    assert listed[2]["value"] == bad[2].decode()
    assert "\x1b" not in listed[1]["value"]
    assert len(json.loads(run(modeler, "list", "--json", "--limit", "1").stdout)) == 1
    assert "rating: 77" in run(modeler, "list").stdout

    # one, corrected: it is learned
    place = ("--topic", modeler.kafka.ratings_topic, "--partition", "0", "--offset", "3")
    done = run(modeler, "replay", *place, "--value", good.decode(), "--json")
    assert [(p["partition"], p["offset"]) for p in json.loads(done.stdout)["sent"]] == [(0, 4)]
    assert modeler.await_learned(5).ratings_stored == 2
    refused = run(modeler, "replay", *place)
    assert isinstance(refused.exception, RecommenderError)
    assert "sent again before, to 0:4" in str(refused.exception)

    # the others as they are: still bad, so each is a dead letter again, at a place of its own
    assert run(modeler, "replay", "--all").stdout == "2 sent again\n"
    sums = modeler.await_learned(7)
    assert (sums.dead_letters, sums.ratings_stored) == (5, 2)
    assert run(modeler, "replay", *place, "--again", "--value", good.decode()).exit_code == 0
    sums = modeler.await_learned(8)
    assert sums.agree
    assert sums.ratings_stored == 3
    to = 'SELECT "offset", replayed_offset FROM dead_letters WHERE replayed_at IS NOT NULL'
    assert sorted(modeler.query(to)) == [(0, 5), (2, 6), (3, 7)]

    assert isinstance(run(modeler, "replay").exception, InvalidInput)
    assert isinstance(run(modeler, "replay", "--all", "--value", "x").exception, InvalidInput)
