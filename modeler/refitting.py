"""Refit in service: train from the stored ratings, catch up with the stream, join it.

Everything is learned beside the modeler, which goes on: in this process's memory, or training by
tasks of Spark's (`modeler.refit_way`). In order:

1. the registry notes a model in training; a trainer that died before is cleared away;
2. the history is read at one snapshot, and both heads are learned from it (`recommender.refit`);
3. what the history has gained meanwhile is learned as the stream learns it, all rows are written,
   and again what has been gained, until little is missing;
4. the model joins: between two micro-batches it learns the rest, and is a candidate.

Killed at any moment it leaves a model in training, which has no effect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from pydantic import Field
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from modeler.method_options import given_settings
from modeler.refit_baseline import Baseline, als
from modeler.refit_way import RefitWaySettings, chosen, way
from modeler.steps import Step, reached
from recommender.datasets import Dataset
from recommender.errors import Refused, Unavailable
from recommender.growing import GrowingModel
from recommender.initial import SIDES, Side
from recommender.model_settings import ModelSettings
from recommender.refit import Epoch, Progress, Refitted, refit
from recommender.rows import Rows
from storage.joining import Place, Trainee
from storage.models import Registry, Version
from storage.settings import KafkaSettings, PostgresSettings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = structlog.get_logger(__name__)

# Ratings that are learned as one micro-batch while catching up, as in a stream under load.
_MICRO_BATCH = 1000
# So few are learned within a moment: the model may join.
_LITTLE = 1000
# Where ratings come faster than they are learned here the join must learn what is left at once.
_ROUNDS = 20
# Other changes of the registry, or a slow commit, may have kept it waiting in vain.
_ATTEMPTS = 5
_BASELINES: dict[str, Baseline] = {"none": lambda *_: {}, "als": als}


class RefitJobSettings(RefitWaySettings, PostgresSettings):
    """Settings of ``python -m modeler refit``."""

    ratings_topic: str = Field(
        KafkaSettings.model_fields["ratings_topic"].default,
        description="Topic of ratings: the one whose offsets say what has been learned.",
    )
    refit_baseline: Literal["none", "als"] = Field(
        "none",
        description="`als`: each refit also trains Spark's ALS and keeps its error on the same "
        "validation part beside its own, for the page of the stream; needs Java.",
    )


@dataclass(frozen=True)
class Joined:
    """A model that has joined the stream.

    Attributes
    ----------
    version : Version
    snapshot, caught_up : int
        Ratings that it was trained from, and that it learned afterwards to catch up.
    seconds : dict
        Of training, and of catching up.
    """

    version: Version
    snapshot: int
    caught_up: int
    seconds: dict[str, float]


def refit_beside(
    settings: RefitJobSettings,
    given: Mapping[str, Any] | None = None,
    reason: str = "a refit from the stored ratings",
    progress: Progress = lambda _: None,
) -> Joined:
    """Train a model from all stored ratings, and have it learn with the stream as a candidate.

    Parameters
    ----------
    settings : RefitJobSettings
    given : mapping
        Settings of the model that are to be otherwise than those of the serving one: its steps
        while it goes on learning, its seed. Scale and row format are not among them.
    reason : str
        Why it was made, for people.
    progress : callable
        Called after each epoch.

    Raises
    ------
    Refused
        If there is no serving model, or another one is being trained.
    InvalidData
        If no rating is stored.
    Unavailable
        If Postgres does not answer.
    """
    with closing(Registry(settings)) as registry:
        for model in registry.retire_abandoned():
            log.info("abandoned training cleared away", model=model)
        registry.sweep()
        busy = [one.model for one in registry.models() if one.status == "training"]
        if busy:
            raise Refused(f"model {busy[0]} is being trained already: wait for it, or retire it")
        with closing(Trainee.begin(settings, settings.ratings_topic, {})) as trainee:
            reached(Step.TRAINING)
            joined = _train(trainee, settings, dict(given or {}), reason, progress)
        return Joined(registry.model(trainee.model), *joined)


def _train(
    trainee: Trainee,
    settings: RefitJobSettings,
    given: dict[str, Any],
    reason: str,
    progress: Progress,
) -> tuple[int, int, dict[str, float]]:
    started = time.perf_counter()
    place, history = trainee.history()
    train = _dataset(history, place).indexed()
    made = given_settings(ModelSettings, {**place.settings, **given})
    taken = way(chosen(settings, len(train.ratings)), _session)
    found = refit(train, made, settings, progress, taken)
    training = time.perf_counter() - started
    beside = _BASELINES[settings.refit_baseline](train, found.model.settings, settings)
    metrics = {**figures(found, training), **beside}
    trainee.note(found.model.settings.model_dump(mode="json"), place, metrics)
    learning = _CatchingUp(
        trainee, GrowingModel(found.model, train.user_ids, train.item_ids), place
    )
    reached(Step.TRAINED)
    learning.catch_up()
    learning.write_all()
    learning.catch_up(learning.write_touched)
    learning.join(f"{reason}; trained on {len(history):,} ratings")
    seconds = {"training": training, "catching_up": time.perf_counter() - started - training}
    return len(history), learning.place.rating_count - len(history), seconds


def _session() -> SparkSession:
    from modeler.batch import session

    return session()


def figures(found: Refitted, seconds: float) -> dict[str, float | int]:
    """What is kept of a training: the figures of its validation part, epochs, seconds."""
    return {
        **found.validation,
        "epochs": found.epochs,
        "ranking_epochs": found.ranking_epochs,
        "seconds": round(seconds, 3),
    }


class _CatchingUp:
    """A trained model on its way to the present.

    Attributes
    ----------
    place : Place
        What it has learned.
    """

    def __init__(self, trainee: Trainee, model: GrowingModel, place: Place) -> None:
        self._trainee = trainee
        self._model = model
        self.place = place

    def catch_up(self, after_each: Callable[[], object] = lambda: None) -> None:
        """Learn what the history has gained, until little is missing."""
        for _ in range(_ROUNDS):
            place, gained = self._trainee.gained(self.place)
            self._learn(gained)
            self.place = place
            after_each()
            if len(gained) <= _LITTLE:
                return

    def write_all(self) -> None:
        """Write all rows; none has been written before."""
        for side in SIDES:
            ids = self._model.ids(side)
            self._model.take_touched(side)
            self._trainee.write(side, ids, self._model.rows(side, ids), self.place.batch)
            reached(Step.HALF_WRITTEN if side == "user" else Step.WRITTEN)

    def write_touched(self) -> None:
        """Write the rows that have changed since they were written."""
        self._trainee.rewrite(self._touched(), self.place.batch)

    def join(self, reason: str) -> None:
        """Join the models that learn."""
        learned = False

        def rest(gained: pa.Table) -> Mapping[Side, tuple[list[str], Rows]]:
            nonlocal learned
            learned = True  # in memory: it must not be learned again
            self._learn(gained)
            return self._touched()

        for attempt in Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, Unavailable) and not learned),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_fixed(1.0),
            reraise=True,
        ):
            with attempt:
                self.place = self._trainee.join(
                    self.place, rest, reason, written=lambda: reached(Step.JOINING)
                )
        reached(Step.JOINED)

    def _learn(self, gained: pa.Table) -> None:
        for start in range(0, len(gained), _MICRO_BATCH):
            part = gained.slice(start, _MICRO_BATCH)
            self._model.learn(
                part["user"].combine_chunks(),
                part["item"].combine_chunks(),
                part["rating"].to_numpy(),
            )

    def _touched(self) -> dict[Side, tuple[list[str], Rows]]:
        changed = {side: self._model.take_touched(side) for side in SIDES}
        return {side: (ids, self._model.rows(side, ids)) for side, ids in changed.items()}


def _dataset(history: pa.Table, place: Place) -> Dataset:
    users, items = (
        pc.cast(history[name], pa.string()).combine_chunks().dictionary_encode()
        for name in ("user", "item")
    )
    return Dataset(
        name="stored ratings",
        users=users,
        items=items,
        ratings=history["rating"].to_numpy(),
        timestamps=history["rated_at"].to_numpy(),
        rating_min=float(place.settings["rating_min"]),
        rating_max=float(place.settings["rating_max"]),
    )


def told(show: Callable[[float, str], None]) -> Progress:
    """Epochs for a progress bar, whose two arguments are a share and a word."""

    def tell(epoch: Epoch) -> None:
        show(epoch.number / epoch.limit, f"{epoch.head} {epoch.number}/{epoch.limit}")

    return tell
