"""The ways to learn from ratings, by name, behind one interface: `learn`.

Whatever the method, the result predicts ratings, ranks items and can be kept in a model file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from modeler.als_settings import AlsSettings, ImplicitAlsSettings
from modeler.method_options import given_settings
from modeler.refit_way import RefitWaySettings, chosen, way
from recommender.baselines import Biases, Popularity
from recommender.datasets import IndexedRatings
from recommender.ease import EaseSettings, ease
from recommender.item_knn import KnnSettings, Similarity, item_knn
from recommender.model import MemoryModel
from recommender.model_file import Model
from recommender.model_settings import ModelSettings
from recommender.rating_head import Errors
from recommender.refit import Epoch, refit
from recommender.settings import Settings
from recommender.stream_pass import learn_in_order

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Progress = Callable[[float, str], None]
"""Called with the share of the work that is done, from 0 to 1, and a word about it."""

MethodSettings = TypeVar("MethodSettings", bound=Settings)


def _session() -> SparkSession:
    from modeler.batch import session

    return session()


@dataclass(frozen=True)
class Task:
    """What a method is given.

    Parameters
    ----------
    train : IndexedRatings
        In the order in which to learn.
    settings : ModelSettings
        Scale and seed, for every method; the rest is B-SGD's.
    micro_batch : int
        Ratings in a micro-batch, where the method has such.
    progress : callable
    options : mapping
        Settings of the methods by name, before those of the environment.
    spark : callable
        Gives the Spark session, for the methods that want one.
    """

    train: IndexedRatings
    settings: ModelSettings
    micro_batch: int = 1000
    progress: Progress = lambda share, word: None
    options: Mapping[str, Any] = field(default_factory=dict)
    spark: Callable[[], SparkSession] = _session

    def settings_of(self, kind: type[MethodSettings]) -> MethodSettings:
        """A method's own settings."""
        return given_settings(kind, self.options)


@dataclass(frozen=True)
class Learned:
    """What a method returns.

    Parameters
    ----------
    recommender : Model
    settings : dict
        The method's settings, by name.
    report : dict
        What it tells of its learning.
    """

    recommender: Model
    settings: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)


class Method(StrEnum):
    """The methods' names."""

    stream = "stream"
    refit = "refit"
    als = "als"
    als_implicit = "als-implicit"
    knn = "knn"
    knn_bm25 = "knn-bm25"
    ease = "ease"
    popularity = "popularity"
    mean = "mean"
    biases = "biases"


def learn(method: Method, task: Task) -> Learned:
    """Learn by a method.

    Raises
    ------
    InvalidSetting
        If one of its settings is wrong.
    InvalidInput
        If the data are not fit for it (EASE: too many items).
    MissingRequirement
        If it wants Spark and there is no Java.
    """
    return _METHODS[method](task)


def _stream(task: Task) -> Learned:
    """One pass of B-SGD in micro-batches: the engine of the streaming job."""
    train = task.train
    model = MemoryModel(train.user_ids, train.item_ids, task.settings)
    errors = Errors()
    for batch in learn_in_order(model, train, task.micro_batch):
        errors += batch
        task.progress(errors.ratings / len(train.ratings), f"RMSE {errors.rmse:.4f}")
    return Learned(
        model,
        task.settings.model_dump(),
        {
            "micro_batch": task.micro_batch,
            "prequential_rmse": errors.rmse,
            "prequential_mae": errors.mae,
        },
    )


def _refit(task: Task) -> Learned:
    """B-SGD over many epochs, the number of which a validation part decides."""
    settings = task.settings_of(RefitWaySettings)
    name = chosen(settings, len(task.train.ratings))

    def told(epoch: Epoch) -> None:
        word = "" if epoch.validation is None else f", validation {epoch.validation:.4f}"
        share = epoch.number / epoch.limit
        task.progress(share, f"{epoch.head} head, epoch {epoch.number}{word}")

    found = refit(task.train, task.settings, settings, told, way(name, task.spark))
    return Learned(
        found.model,
        {**found.model.settings.model_dump(), **settings.model_dump()},
        {"epochs": found.epochs, "ranking_epochs": found.ranking_epochs, "way": name},
    )


def _als(task: Task) -> Learned:
    """Spark MLlib's ALS over ratings as numbers."""
    from modeler.als import explicit

    settings = task.settings_of(AlsSettings)
    model = explicit(task.spark(), task.train, settings, task.settings.seed)
    return Learned(model, settings.model_dump())


def _als_implicit(task: Task) -> Learned:
    """Spark MLlib's ALS over implicit preferences."""
    from modeler.als import implicit

    settings = task.settings_of(ImplicitAlsSettings)
    model = implicit(task.spark(), task.train, settings, task.settings.seed)
    return Learned(model, settings.model_dump())


def _knn(task: Task) -> Learned:
    """Item KNN by cosine."""
    settings = task.settings_of(KnnSettings)
    model = item_knn(task.train, Similarity.cosine, settings.knn_neighbors)
    return Learned(model, settings.model_dump())


def _knn_bm25(task: Task) -> Learned:
    """Item KNN by BM25."""
    settings = task.settings_of(KnnSettings)
    model = item_knn(task.train, Similarity.bm25, settings.knn_neighbors)
    return Learned(model, settings.model_dump())


def _ease(task: Task) -> Learned:
    """EASE."""
    settings = task.settings_of(EaseSettings)
    return Learned(ease(task.train, settings.ease_regularization), settings.model_dump())


def _popularity(task: Task) -> Learned:
    """μ for every pair; ranks by number of ratings."""
    return Learned(Popularity(task.train))


def _mean(task: Task) -> Learned:
    """Each item's damped mean rating; ranks by it."""
    return Learned(Biases(task.train, users=False))


def _biases(task: Task) -> Learned:
    """μ + b_x + b_y by damped means; ranks by it."""
    return Learned(Biases(task.train))


_METHODS: dict[Method, Callable[[Task], Learned]] = {
    Method.stream: _stream,
    Method.refit: _refit,
    Method.als: _als,
    Method.als_implicit: _als_implicit,
    Method.knn: _knn,
    Method.knn_bm25: _knn_bm25,
    Method.ease: _ease,
    Method.popularity: _popularity,
    Method.mean: _mean,
    Method.biases: _biases,
}
