"""The ways to learn from ratings that can be judged side by side, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from recommender.baselines import Biases, Popularity
from recommender.datasets import IndexedRatings
from recommender.evaluation import Recommender
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.rating_head import Errors
from recommender.stream_pass import learn_in_order

Progress = Callable[[int], None]
"""Called with the number of ratings learned since the last call."""


@dataclass(frozen=True)
class Task:
    """What a method is given.

    Parameters
    ----------
    train : IndexedRatings
        In the order in which to learn.
    settings : ModelSettings
    micro_batch : int
        Ratings in a micro-batch, where the method has such.
    progress : callable
    """

    train: IndexedRatings
    settings: ModelSettings
    micro_batch: int
    progress: Progress


@dataclass(frozen=True)
class Learned:
    """What a method returns: something to judge, and what it reports of its learning."""

    recommender: Recommender
    report: dict[str, Any]


def stream(task: Task) -> Learned:
    """One pass of B-SGD in micro-batches: the engine of the streaming job."""
    train = task.train
    model = MemoryModel(train.user_ids, train.item_ids, task.settings)
    errors = Errors()
    for batch in learn_in_order(model, train, task.micro_batch):
        errors += batch
        task.progress(batch.ratings)
    return Learned(
        model,
        {
            "micro_batch": task.micro_batch,
            "prequential_rmse": errors.rmse,
            "prequential_mae": errors.mae,
            "settings": task.settings.model_dump(),
        },
    )


def popularity(task: Task) -> Learned:
    """μ for every pair; ranks by number of ratings."""
    return Learned(Popularity(task.train), {})


def mean(task: Task) -> Learned:
    """Each item's damped mean rating; ranks by it."""
    return Learned(Biases(task.train, users=False), {})


def biases(task: Task) -> Learned:
    """μ + b_x + b_y by damped means; ranks by it."""
    return Learned(Biases(task.train), {})


class Method(StrEnum):
    """The methods' names."""

    stream = "stream"
    popularity = "popularity"
    mean = "mean"
    biases = "biases"


METHODS: dict[Method, Callable[[Task], Learned]] = {
    Method.stream: stream,
    Method.popularity: popularity,
    Method.mean: mean,
    Method.biases: biases,
}
