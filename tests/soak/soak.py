"""Accidents of every kind, hundreds of times, to a modeler under load: ``make soak``.

Three quarters of the rounds only rate, and must leave the bits of an uninterrupted run; in the last
quarter users also take ratings back, so that what is left is compared.

``SEED`` repeats a run (the same accidents after the same ratings; the moments are as alike as a
machine's timing allows), ``ROUNDS`` sets how many there are. The first rounds take every kind once.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from local.kafka import Kafka
from local.postgres import Postgres
from local.processes import Children
from local.redis_server import RedisServer
from local.store import Store
from modeler import java as java_runtime
from modeler.steps import Step
from recommender.withdrawals import Withdrawal, encode
from storage.dead_letters import list_dead_letters
from storage.schema import migrate
from tests.integration.modeler.conftest import Modeler, new_modeler, some_ratings
from tests.integration.modeler.state import (
    assert_projection_equals_truth,
    assert_rating_head_of_an_uninterrupted_run,
    await_projected,
)

ROUNDS = int(os.environ.get("ROUNDS") or 300)
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
# Redis is compared with Postgres every so many rounds.
COMPARED_EVERY = 10
LONGEST_STOP = 8.0  # seconds that a store is stopped, as if the network to it were down
BAD = b'{"user":"u","item":"i","rating":77,"timestamp":1}'


@dataclass
class Site:
    """A modeler and stores of its own."""

    children: Children
    kafka: Kafka
    postgres: Postgres
    redis: RedisServer
    modeler: Modeler
    drawn: random.Random
    scratch: Path

    def kill_modeler(self) -> None:
        self.modeler.kill()

    def kill_at_a_step(self) -> None:
        self.modeler.kill()
        step = self.drawn.choice(list(Step))
        self.modeler.environment["RECOMMENDER_KILL_AT"] = f"{step.word}:{self.drawn.randint(1, 3)}"
        self.modeler.start()
        del self.modeler.environment["RECOMMENDER_KILL_AT"]

    def kill_java(self) -> None:
        self._kill_below(lambda process: process.name() == "java")

    def kill_workers(self) -> None:
        # The modeler's zygote forks a daemon, which forks them.
        def is_worker(process: psutil.Process) -> bool:
            above = [one.pid for one in process.parents()]
            return above[2:3] == [self.modeler.process.pid]

        self._kill_below(is_worker)

    def _kill_below(self, chosen: Callable[[psutil.Process], bool]) -> None:
        assert self.modeler.process is not None
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.modeler.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if chosen(process):
                        process.kill()

    def kill_kafka(self) -> None:
        self._restart(self.kafka)

    def kill_postgres(self) -> None:
        self._restart(self.postgres)

    def kill_redis(self) -> None:
        self._restart(self.redis)

    def _restart(self, store: Store) -> None:
        child = store.child
        for process in _tree(child.pid):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        child.wait()
        self.children.forget(child)
        time.sleep(self.drawn.uniform(0, 2))
        store.launch()
        store.await_ready()

    def stop_kafka(self) -> None:
        self._stop(self.kafka)

    def stop_postgres(self) -> None:
        self._stop(self.postgres)

    def stop_redis(self) -> None:
        self._stop(self.redis)

    def _stop(self, store: Store) -> None:
        stopped = _tree(store.child.pid)
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGSTOP)
        time.sleep(self.drawn.uniform(0.2, LONGEST_STOP))
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)

    def cut_connections(self) -> None:
        self.modeler.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def empty_redis(self) -> None:
        with redis.Redis.from_url(self.redis.url) as client:
            client.flushall()

    def lose_checkpoint(self) -> None:
        for folder in self.scratch.glob("modeler-*/checkpoint-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def lose_scratch(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)

    def nothing(self) -> None:
        """A round without an accident."""

    @property
    def accidents(self) -> list[Callable[[], None]]:
        return [
            *(self.kill_modeler, self.kill_at_a_step, self.kill_java, self.kill_workers),
            *(self.kill_kafka, self.kill_postgres, self.kill_redis),
            *(self.stop_kafka, self.stop_postgres, self.stop_redis),
            *(self.cut_connections, self.empty_redis, self.lose_checkpoint, self.lose_scratch),
            self.nothing,
        ]


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


@pytest.fixture
def site(
    java: java_runtime.Java, jars: Path, java_home: Path, class_archive: Path, tmp_path: Path
) -> Iterator[Site]:
    children = Children(tmp_path / "stores")
    kafka, postgres, server = Kafka(children, java, jars), Postgres(children), RedisServer(children)
    modeler = None
    try:
        for store in (kafka, postgres, server):
            store.launch()
        for store in (kafka, postgres, server):
            store.await_ready()
        dsn = postgres.create_database()
        migrate(dsn)
        scratch = tmp_path / "scratch"
        modeler = new_modeler(
            *(kafka.bootstrap_servers, dsn, server.url, jars, java_home, class_archive, tmp_path),
            # Most rounds begin with a backlog and end live; one block, or bits would differ.
            {"passes": 1, "replay": 0, "max_batch": 40, "takeover_patience": 60}
            | {"backlog": 150, "backlog_batch": 100, "blocks": 1}
            | {"scratch": scratch, "postgres_timeout": 5},
        )
        yield Site(children, kafka, postgres, server, modeler, random.Random(SEED), scratch)
    finally:
        if modeler is not None and modeler.process is not None and modeler.process.poll() is None:
            modeler.kill()
        children.close()


def test_soak(site: Site) -> None:
    sys.stderr.write(f"\nSEED={SEED} ROUNDS={ROUNDS}\n")
    modeler, drawn = site.modeler, site.drawn
    ratings = iter(some_ratings(200 * ROUNDS + 200, seed=SEED))
    records = bad = duplicates = 0
    taken_back = withdrawals = 0
    left: list[tuple[str, str, float]] = []
    withdrawing_from = ROUNDS * 3 // 4
    first = site.accidents
    drawn.shuffle(first)
    modeler.start()
    for number in range(ROUNDS):
        if number == withdrawing_from:
            assert_rating_head_of_an_uninterrupted_run(modeler, modeler.sent)
        some = [next(ratings) for _ in range(drawn.randint(1, 160))]
        modeler.send(some)
        event = _event(next(ratings), f"e{number}")
        modeler.sent.append((event["user"], event["item"], event["rating"]))
        modeler.send_raw([json.dumps(event).encode()] * 2 + [BAD])
        records, bad, duplicates = records + len(some) + 3, bad + 1, duplicates + 1
        left += modeler.sent[-len(some) - 1 :]
        if number >= withdrawing_from:
            withdrawn = _withdrawals(left, drawn)
            for one in withdrawn:
                left = [row for row in left if row[0] != one.user or one.item not in (row[1], None)]
            if withdrawn:
                modeler.send_raw([encode(one) for one in withdrawn])
            records, withdrawals = records + len(withdrawn), withdrawals + len(withdrawn)
            taken_back = len(modeler.sent) - len(left)

        accident = first[number] if number < len(first) else drawn.choice(first)
        time.sleep(drawn.expovariate(1.0))
        began = time.monotonic()
        sys.stderr.write(f"{number + 1:4} {accident.__name__:16}")
        accident()
        happened = time.monotonic()
        _await_learned(modeler, records)
        sums = modeler.sums()
        assert sums.agree, sums
        expected = (len(left), bad, duplicates)
        assert (sums.ratings_stored, sums.dead_letters, sums.duplicates) == expected, sums
        assert (sums.withdrawals, sums.withdrawn) == (withdrawals, taken_back), sums
        sys.stderr.write(
            f" {happened - began:5.1f} s, learned {time.monotonic() - happened:5.1f} s later\n"
        )
        if number % COMPARED_EVERY == COMPARED_EVERY - 1 or number == ROUNDS - 1:
            await_projected(modeler)
            assert_projection_equals_truth(modeler)
    stored = modeler.query('SELECT "user", item, rating FROM ratings')
    assert sorted(stored) == sorted(left)
    unpublished = "SELECT count(*) FROM dead_letters WHERE NOT published"
    modeler.wait_for(lambda: modeler.query(unpublished) == [(0,)], "dead letters published")
    places = [(one.partition, one.offset) for one in list_dead_letters(modeler.kafka, 10_000)]
    assert len(places) == len(set(places)) == bad


def _withdrawals(left: list[tuple[str, str, float]], drawn: random.Random) -> list[Withdrawal]:
    """Some ratings and, now and then, a user."""
    found = []
    for _ in range(drawn.randint(0, 3)):
        user, item, _rating = drawn.choice(left)
        found.append(
            Withdrawal(user=user, item=item if drawn.random() < 0.8 else None, timestamp=1.0)
        )
    return found


def _await_learned(modeler: Modeler, records: int) -> None:
    modeler.wait_for(lambda: _learned(modeler) >= records, f"{records} records", within=180)


def _learned(modeler: Modeler) -> int:
    """Records learned; a modeler that has ended is started again, as a supervisor would."""
    assert modeler.process is not None
    if modeler.process.poll() is not None:
        modeler.start()
    with suppress(psycopg2.OperationalError):
        return modeler.learned()
    return 0


def _event(rating: tuple[str, str, float], event_id: str) -> dict[str, object]:
    user, item, value = rating
    return {"user": user, "item": item, "rating": value, "timestamp": 1, "event_id": event_id}
