"""Withdrawals through the running modeler: killed in between, of a backlog, projected."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import redis

from modeler.steps import Step
from recommender.withdrawals import Withdrawal, encode
from storage.keys import Keys
from storage.log import load
from tests.integration.modeler.conftest import Modeler, some_ratings
from tests.integration.modeler.state import assert_projection_equals_truth, await_projected

MakeModeler = Callable[..., Modeler]

# The steps between which a withdrawal is in some of the places that it must be in, not in others.
# Kills at all steps, and at random, are in test_kills.py; with withdrawals, too, in `make soak`.
IN_TASK = [Step.LOADED, Step.STAGED]
OF_DRIVER = [Step.MERGED, Step.ENTRY_AHEAD]


class Users:
    """Sends ratings and withdrawals, and knows what must be left."""

    def __init__(self, modeler: Modeler, seed: int) -> None:
        self.modeler = modeler
        self.random = random.Random(seed)
        self.ratings: Iterator[tuple[str, str, float]] = iter(some_ratings(100_000, seed))
        self.left: list[tuple[str, str, float]] = []
        self.records = 0

    def rate(self, count: int) -> None:
        some = [next(self.ratings) for _ in range(count)]
        self.modeler.send(some)
        self.left += some
        self.records += count

    def withdraw(self, user: str, item: str | None = None) -> None:
        record = encode(Withdrawal(user=user, item=item, timestamp=1.0))
        kafka = self.modeler.kafka
        load(kafka, kafka.ratings_topic, [(user.encode(), record)])
        self.left = [row for row in self.left if row[0] != user or item not in (row[1], None)]
        self.records += 1

    def go_on(self, parts: int = 4, ratings: int = 30) -> int:
        """Rate and withdraw in turn, so that every micro-batch has both."""
        for _ in range(parts):
            self.rate(ratings)
            user, item, _ = self.random.choice(self.left)
            self.withdraw(user, item)
            self.rate(ratings)
            self.withdraw(self.random.choice(self.left)[0])
        return self.records

    def check(self) -> None:
        modeler = self.modeler
        stored = modeler.query('SELECT "user", item, rating FROM ratings')
        assert Counter(stored) == Counter(self.left)
        assert dict(modeler.query("SELECT id, n FROM user_rows")) == Counter(
            user for user, _, _ in self.left
        )
        counted = dict(modeler.query("SELECT id, n FROM item_rows"))
        assert {item: n for item, n in counted.items() if n} == Counter(
            item for _, item, _ in self.left
        )
        sums = modeler.sums()
        assert sums.agree, sums
        assert sums.ratings_stored == len(self.left)
        assert sums.rating_sum == pytest.approx(sum(rating for *_, rating in self.left))


@pytest.mark.timeout(900)
def test_kills_with_withdrawals_on_their_way_change_nothing(make_modeler: MakeModeler) -> None:
    modeler = make_modeler(max_batch=50, takeover_patience=60, partitions=2)
    users = Users(modeler, seed=41)

    modeler.environment["RECOMMENDER_KILL_AT"] = ",".join(
        f"{step.word}:{number + 1}" for number, step in enumerate(IN_TASK)
    )
    end = users.go_on(parts=8)
    modeler.start()
    modeler.await_learned(end)
    users.check()
    log = (modeler.folder / "modeler.log").read_text()
    assert log.count("learning interrupted") >= len(IN_TASK)
    modeler.kill()

    for step in OF_DRIVER:
        modeler.environment["RECOMMENDER_KILL_AT"] = f"{step.word}:2"
        users.go_on()
        modeler.start()
        assert modeler.process is not None
        assert modeler.wait_for(modeler.process.poll, f"the kill at {step.word}") == -9
        assert modeler.sums().agree

    del modeler.environment["RECOMMENDER_KILL_AT"]
    end = users.go_on()
    modeler.start()
    modeler.await_learned(end)
    users.check()
    await_projected(modeler)
    assert_projection_equals_truth(modeler)


@pytest.mark.timeout(600)
def test_a_backlog_of_withdrawals_and_redis_away(make_modeler: MakeModeler, redis_url: str) -> None:
    """Nobody deleted comes back: not by the blocks, and not by a projection that fell behind."""
    modeler = make_modeler(backlog=500, backlog_batch=600, blocks=2, partitions=3)
    users = Users(modeler, seed=42)
    end = users.go_on(parts=30)
    modeler.start()
    modeler.await_learned(end)
    assert '"way":"backlog"' in (modeler.folder / "modeler.log").read_text().replace(" ", "")
    users.check()
    await_projected(modeler)
    assert_projection_equals_truth(modeler)

    # Withdrawals alone, and one whose micro-batch Redis does not see.
    gone = users.left[0][0]
    users.withdraw(gone)
    modeler.await_learned(users.records)
    users.check()
    await_projected(modeler)
    assert_projection_equals_truth(modeler)
    assert change(modeler, -1)[b"withdrawn"] == f'["{gone}"]'.encode()

    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        away = [users.left[0][0], users.left[-1][0]]
        users.withdraw(away[0])
        users.withdraw(away[1], users.left[-1][1])
        modeler.await_learned(users.records)
        users.rate(40)
        modeler.await_learned(users.records)
        users.check()
        log = modeler.folder / "modeler.log"
        modeler.wait_for(lambda: "projection waits" in log.read_text(), "Redis to be missed", 20)
        client.execute_command("CLIENT", "UNPAUSE")
    await_projected(modeler)
    assert "projection caught up" in log.read_text()
    assert_projection_equals_truth(modeler)


def change(modeler: Modeler, place: int) -> dict[bytes, bytes]:
    keys = Keys(modeler.environment["RECOMMENDER_REDIS_PREFIX"], 1)
    with redis.Redis.from_url(modeler.environment["RECOMMENDER_REDIS_URL"]) as client:
        return client.xrange(keys.changes)[place][1]
