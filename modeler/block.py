"""A small micro-batch in one block: one task reads it, learns it, and stages what it learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from modeler import canonical
from modeler.loading import coded, rows, sample
from modeler.reading import read
from modeler.staging import Staging
from modeler.steps import Step, reached
from modeler.task import Report, Task, Version, store, timed
from recommender import micro_batch
from recommender.history import Ratings
from recommender.initial import initial_rows
from recommender.micro_batch import MicroBatch
from recommender.model_settings import ModelSettings
from recommender.ordering import stable_order
from recommender.rating_head import Errors, Mean
from storage.staging import Address, TaskStore

REPORT_SCHEMA = "report string"


def learner(task: Task) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Make the function that Spark maps over the one partition of a micro-batch (``mapInArrow``).

    It asks the truth how far the model has learned, so the same function, and the same plan of
    Spark's, serves every micro-batch.
    """

    def learn(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        seconds: dict[str, float] = {}
        with timed(seconds, "read"):
            received = list(batches)
        if received:
            with store(task.dsn) as kept:
                report = _learn(task, kept, received, seconds)
            yield pa.RecordBatch.from_pydict({"report": [report.encode()]})

    return learn


def warm_up(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Do in a worker what the first micro-batch would wait for (``mapInArrow``)."""
    list(batches)
    load_kernels()
    yield pa.RecordBatch.from_pydict({"report": ["warm"]})


def load_kernels() -> None:
    """Load the compiled kernels into this process, or compile them where that was never done."""
    settings = ModelSettings(rank=1)
    ids = pa.array(["warm-up"])
    users = initial_rows(ids, "user", 0, settings.format, 1.0, 1.0)
    items = initial_rows(ids, "item", 0, settings.format, 1.0, 1.0)
    rating = Ratings(np.zeros(1, np.int32), np.zeros(1, np.int32), np.ones(1, np.float32))
    batch = MicroBatch.whole(rating, Mean(1.0), users, items, rating, rating.items)
    micro_batch.learn(batch, settings)
    canonical.parse(pa.array([b"{}"]))


def _learn(
    task: Task, store: TaskStore, received: list[pa.RecordBatch], seconds: dict[str, float]
) -> Report:
    with timed(seconds, "parse"):
        before = store.as_of(task.serving.model)
        reading = read(received, task, before.offsets, store)
        ratings = reading.ratings
    reached(Step.PARSED)

    staging = Staging(task, store, before.batch + 1)
    with timed(seconds, "stage"):
        withdrawals = staging.withdrawals(reading)
    with timed(seconds, "replay"):
        earlier = sample(task, store, len(ratings), before.rating_count, withdrawals)
    errors: dict[int, Errors] = {}
    for version in task.versions:
        mean = Mean(version.settings.middle, before.rating_sum, before.rating_count)
        errors[version.model] = _learn_one(
            version, store, staging, withdrawals, ratings, earlier, mean, seconds
        )

    reached(Step.HALF_STAGED)
    with timed(seconds, "stage"):
        _, (codes,) = coded(ratings["user"])
        staging.records(ratings.take(pa.array(stable_order(codes))), reading)
    reached(Step.STAGED)
    return Report(
        batch=before.batch + 1,
        staged=staging.staged,
        errors=errors,
        duplicates=reading.duplicates,
        withdrawn=reading.withdrawals.withdrawn,
        total=mean.total,  # all models have learned the same ratings
        count=mean.count,
        next_offsets=reading.next_offsets,
        seconds=seconds,
    )


def _learn_one(
    version: Version,
    store: TaskStore,
    staging: Staging,
    withdrawals: Address | None,
    ratings: pa.Table,
    earlier: pa.Table,
    mean: Mean,
    seconds: dict[str, float],
) -> Errors:
    """Learn the ratings for one model and stage its rows; `mean` takes them in."""
    settings = version.settings
    sampled = earlier.slice(0, settings.sample_size(len(ratings)))
    replayed = sampled.slice(0, settings.replayed(len(ratings)))
    users, (user_codes, replayed_users) = coded(ratings["user"], replayed["user"])
    items, (item_codes, sampled_items) = coded(ratings["item"], sampled["item"])
    with timed(seconds, "load"):
        user_rows = rows(version, store, "user", users, withdrawals)
        item_rows = rows(version, store, "item", items)
    reached(Step.LOADED)

    with timed(seconds, "learn"):
        values = replayed["rating"].to_numpy()
        batch = MicroBatch.whole(
            Ratings(user_codes, item_codes, ratings["rating"].to_numpy()),
            mean,
            user_rows,
            item_rows,
            Ratings(replayed_users, sampled_items[: len(values)], values),
            sampled_items,
        )
        errors = micro_batch.learn(batch, settings)
    reached(Step.LEARNED)

    with timed(seconds, "stage"):
        staging.rows(version.model, "user", users, user_rows)
        staging.rows(version.model, "item", items, item_rows)
    return errors
