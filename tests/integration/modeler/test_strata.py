"""A large micro-batch in blocks: the tasks themselves, with the real Postgres and without Spark."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from modeler.backlog import dealt
from modeler.strata import Cut, cutter, learner, reader
from modeler.task import Report, Task, Version
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.rows import Rows
from recommender.strata import Schedule
from storage.settings import PostgresSettings
from storage.staging import Address, TaskStore, rows_of, slot_of
from storage.truth import Lease, Truth

PARTITIONS = 3
SETTINGS = ModelSettings(replay=0, negatives=4)


@dataclass
class Learned:
    """What the tasks of one micro-batch have reported and staged."""

    readers: list[Report]
    learners: list[Report]
    rows: dict[str, dict[str, bytes]]

    def table(self, side: str) -> tuple[list[str], Rows]:
        ids = sorted(self.rows[side])
        form = SETTINGS.format
        return ids, Rows.unpack(form.unpack(b"".join(self.rows[side][one] for one in ids)))

    def errors(self, ratings: list[tuple[str, str, float]], mean: float) -> np.ndarray:
        (users, user_rows), (items, item_rows) = self.table("user"), self.table("item")
        x = [users.index(user) for user, _, _ in ratings]
        y = [items.index(item) for _, item, _ in ratings]
        products = (user_rows.factors[x] * item_rows.factors[y]).sum(1)
        return mean + user_rows.bias[x] + item_rows.bias[y] + products - [r for *_, r in ratings]


def skewed(count: int, seed: int) -> list[tuple[str, str, float]]:
    """Ratings of which one item has a fifth and one user a tenth; tastes are two groups."""
    drawn = random.Random(seed)
    ratings = []
    for _ in range(count):
        user = 0 if drawn.random() < 0.1 else drawn.randrange(1, 80)
        item = 0 if drawn.random() < 0.2 else drawn.randrange(1, 60)
        liked = 1.0 if (user + item) % 2 else -1.0
        rating = round(2 * (2.75 + liked + drawn.gauss(0, 0.4) + (item % 3 - 1) * 0.5)) / 2
        ratings.append((f"u{user}", f"i{item}", min(5.0, max(0.5, rating))))
    return ratings


def log_of(ratings: list[tuple[str, str, float]], partitions: int) -> list[pa.RecordBatch]:
    """The ratings as Spark reads them, one batch for each partition of the log."""
    values: list[list[bytes]] = [[] for _ in range(partitions)]
    for user, item, rating in ratings:
        record = {"user": user, "item": item, "rating": rating, "timestamp": 1.0}
        values[int(user[1:]) % partitions].append(json.dumps(record).encode())
    return [
        pa.RecordBatch.from_pydict(
            {
                "topic": ["ratings"] * len(some),
                "partition": pa.array([partition] * len(some), pa.int32()),
                "offset": pa.array(range(len(some)), pa.int64()),
                "timestamp": pa.array([0] * len(some), pa.timestamp("us", "UTC")),
                "key": pa.array([b"k"] * len(some), pa.binary()),
                "value": pa.array(some, pa.binary()),
            }
        )
        for partition, some in enumerate(values)
        if some
    ]


@pytest.fixture
def lease(dsn: str) -> Iterator[Lease]:
    settings = PostgresSettings(postgres_dsn=dsn)
    with closing(Truth(settings)) as truth:
        truth.serving_or_new_model(SETTINGS.model_dump(mode="json"), "test")
        yield truth.take_over(1.0)


def learn(
    dsn: str,
    lease: Lease,
    log: list[pa.RecordBatch],
    blocks: int,
    shuffle: random.Random | None = None,
    workers: int | None = None,
) -> Learned:
    """What Spark does: run the tasks, and bring what they give to the next ones, in any order."""
    with closing(Truth(PostgresSettings(postgres_dsn=dsn))) as truth:
        truth.empty_slot(slot_of(1))
    version = Version(lease.serving, SETTINGS)
    task = Task([version], lease.fence, dsn, "ratings")
    read = [one for part in log for one in reader(task, lease.as_of, None, blocks)(iter([part]))]
    readers = [Report.decode(one["report"][0].as_py()) for one in read]
    total, count = sum(one.total for one in readers), sum(one.count for one in readers)
    schedule = Schedule(blocks, workers or blocks)
    cut = Cut(version, schedule, dealt(readers, blocks), lease.as_of, total, count, sampler=0)

    pieces = [piece for part in read for piece in cutter(task, cut)(iter([part]))]
    for number in range(schedule.rounds):
        moved = pa.Table.from_batches(pieces)
        pieces = []
        for worker in range(schedule.workers):
            own = moved.filter(pc.equal(moved["task"], worker))
            if shuffle is not None:
                own = own.take(pa.array(shuffle.sample(range(len(own)), len(own))))
            pieces += learner(task, cut, number)(iter(own.combine_chunks().to_batches()))
    learners = [
        Report.decode(text.decode()) for part in pieces for text in part["payload"].to_pylist()
    ]

    rows: dict[str, dict[str, bytes]] = {"user": {}, "item": {}}
    with closing(TaskStore(dsn)) as store:
        # outside of Spark an attempt has no number
        staged = store.staged_rows(Address(slot_of(1), lease.fence, [0]), lease.serving)
    packed = rows_of(staged, SETTINGS.format).pack()
    sides, ids = staged["side"].to_pylist(), staged["id"].to_pylist()
    for side, one, row in zip(sides, ids, packed, strict=True):
        assert one not in rows[side], "a row is staged twice"
        rows[side][one] = row.tobytes()
    return Learned(readers, learners, rows)


def test_one_block_is_one_task_bit_for_bit(dsn: str, lease: Lease) -> None:
    ratings = skewed(2000, seed=1)
    learned = learn(dsn, lease, log_of(ratings, partitions=1), blocks=1)

    users = sorted({user for user, _, _ in ratings})
    items = sorted({item for _, item, _ in ratings})
    model = MemoryModel(pa.array(users), pa.array(items), SETTINGS)
    errors = model.learn(
        np.array([users.index(user) for user, _, _ in ratings], np.int32),
        np.array([items.index(item) for _, item, _ in ratings], np.int32),
        np.array([rating for *_, rating in ratings], np.float32),
    )
    for side, ids, rows in (("user", users, model.user_rows), ("item", items, model.item_rows)):
        found, stored = learned.table(side)
        assert found == ids
        for name in ("n", "bias", "factors"):
            np.testing.assert_array_equal(getattr(stored, name), getattr(rows, name))
    assert learned.learners[0].errors == {lease.serving: errors}
    assert learned.readers[0].total == model.mean.total


@pytest.mark.parametrize("blocks", [2, 3])
def test_blocks_learn_each_rating_once_and_as_well(dsn: str, lease: Lease, blocks: int) -> None:
    ratings = skewed(12_000, seed=2)
    training, test = ratings[:10_000], ratings[10_000:]
    mean = sum(rating for *_, rating in training) / len(training)
    log = log_of(training, PARTITIONS)
    alone = learn(dsn, lease, log, 1)
    cut = learn(dsn, lease, log, blocks)

    for side, place in (("user", 0), ("item", 1)):
        ids, rows = cut.table(side)
        assert dict(zip(ids, rows.n.tolist(), strict=True)) == Counter(
            rating[place] for rating in training
        )
    assert sum(one.errors[lease.serving].ratings for one in cut.learners) == len(training)
    assert sum(one.staged.ratings for one in cut.readers) == len(training)

    def rmse(learned: Learned) -> float:
        return float(np.sqrt((learned.errors(test, mean) ** 2).mean()))

    assert rmse(cut) < 0.6  # 1.2 without any learning, 0.4 is noise
    assert rmse(cut) == pytest.approx(
        rmse(alone), rel=0.12
    )  # of few rows; `benchmarks blocks` has many


def test_the_order_in_which_pieces_arrive_changes_nothing(dsn: str, lease: Lease) -> None:
    log = log_of(skewed(3000, seed=3), PARTITIONS)
    first = learn(dsn, lease, log, 4, random.Random(1))
    again = learn(dsn, lease, log, 4, random.Random(2))
    assert first.rows == again.rows
    assert [one.errors for one in first.learners] == [one.errors for one in again.learners]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_however_many_tasks_share_the_blocks_the_bits_are_the_same(
    dsn: str, lease: Lease, workers: int
) -> None:
    log = log_of(skewed(3000, seed=3), PARTITIONS)
    assert learn(dsn, lease, log, 5, workers=workers).rows == learn(dsn, lease, log, 5).rows


def test_no_block_waits_long_for_one_with_the_hot_ids(dsn: str, lease: Lease) -> None:
    """One item has 5 % of all ratings, one user 10 %: the blocks are of nearly one size."""
    drawn = random.Random(4)
    ratings = [
        (
            "u0" if drawn.random() < 0.1 else f"u{drawn.randrange(1, 2000)}",
            "i0" if drawn.random() < 0.05 else f"i{drawn.randrange(1, 1500)}",
            4.0,
        )
        for _ in range(20_000)
    ]
    learned = learn(dsn, lease, log_of(ratings, PARTITIONS), blocks=4)
    sizes = [one.errors[lease.serving].ratings for one in learned.learners]
    assert max(sizes) < 1.25 * sum(sizes) / 4
