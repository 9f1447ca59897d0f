"""Named steps of micro-batches, refits and changes of the registry: a test may kill who takes them.

They are where a kill could do harm: between any two of them something has been written that the
other side does not know of yet. ``RECOMMENDER_KILL_AT`` unset, reaching one costs a comparison.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from enum import Enum
from pathlib import Path

from pydantic import Field, field_validator
from pyspark import SparkFiles

from recommender.settings import PREFIX, Settings


class Step(Enum):
    """A moment of a micro-batch, or of a refit; its value says what has happened by then."""

    TASK_AHEAD = "the slot of staging is empty, no task runs yet"
    PARSED = "in the task: the records are read, second deliveries left out"
    LOADED = "in the task: the rows are loaded"
    LEARNED = "in the task: everything is learned, nothing is staged"
    HALF_STAGED = "in the task: rows are staged, the ratings are not"
    STAGED = "in the task: all is staged, the driver does not know"
    COMMIT_AHEAD = "the driver knows what is staged; the transaction has not begun"
    MERGED = "in the transaction: all is written, nothing is committed"
    COMMITTED = "Postgres has committed, Redis knows nothing of it"
    HALF_PROJECTED = "Redis has the users' rows, not those of the items"
    ENTRY_AHEAD = "Redis has all rows and ratings; the state and the stream's entry are missing"
    SERVING_AHEAD = "Postgres says that this model serves, Redis does not know"
    LETTERS_AHEAD = "dead letters are committed, not yet published"
    LETTERS_PUBLISHED = "Kafka has acknowledged dead letters, Postgres does not say so"
    TRAINING = "refit: the registry knows of a model in training, nothing is learned"
    TRAINED = "refit: everything is in memory, no row is written"
    HALF_WRITTEN = "refit: the users' rows are written, not those of the items"
    WRITTEN = "refit: all rows are written, the model has not joined"
    JOINING = "refit, in the transaction that joins: all is written, nothing is committed"
    JOINED = "refit: the model is a candidate"

    @property
    def word(self) -> str:
        """The step as it is named in the setting."""
        return self.name.lower().replace("_", "-")

    @property
    def in_task(self) -> bool:
        """Whether a worker takes it, not the driver."""
        return self in _IN_TASK

    @property
    def in_refit(self) -> bool:
        """Whether a refit takes it, which is a process of its own."""
        return self in _IN_REFIT


class Change(Enum):
    """A moment of a change of the registry, which is one transaction; otherwise as `Step`."""

    PROMOTING = "promote, in the transaction: all is written, nothing is committed"
    PROMOTED = "promote: committed, whoever asked for it does not know"
    ROLLING_BACK = "rollback, in the transaction: all is written, nothing is committed"
    ROLLED_BACK = "rollback: committed, whoever asked for it does not know"
    RETIRING = "retire, in the transaction: all is written, nothing is committed"
    RETIRED = "retire: committed, whoever asked for it does not know"
    SWEEPING = "in the transaction that drops a retired model's rows: nothing is committed"

    @property
    def word(self) -> str:
        """The moment as it is named in the setting."""
        return self.name.lower().replace("_", "-")


_IN_TASK = frozenset({Step.PARSED, Step.LOADED, Step.LEARNED, Step.HALF_STAGED, Step.STAGED})
_IN_REFIT = frozenset(
    {
        *(Step.TRAINING, Step.TRAINED, Step.HALF_WRITTEN, Step.WRITTEN, Step.JOINING, Step.JOINED),
    }
)
_BY_WORD: dict[str, Step | Change] = {
    **{step.word: step for step in Step},
    **{change.word: change for change in Change},
}


class KillSettings(Settings):
    """For tests only."""

    kill_at: str | None = Field(
        None,
        description="For tests: `step` or `step:n`, several with commas; the modeler, the "
        "worker where the step is a task's, or the command that takes it, kills itself when it "
        "reaches the step the n-th time. "
        f"Steps: {', '.join(_BY_WORD)}.",
    )

    @field_validator("kill_at")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None:
            parse(value)
        return value


def parse(text: str) -> dict[Step | Change, int]:
    """Which step is to be fatal the how-manieth time.

    Raises
    ------
    ValueError
        If a step is not known or a number is none.

    Examples
    --------
    >>> parse("merged:3,staged") == {Step.MERGED: 3, Step.STAGED: 1}
    True
    """
    wanted: dict[Step | Change, int] = {}
    for part in text.split(","):
        word, _, time = part.partition(":")
        if word not in _BY_WORD or not (time or "1").isdecimal() or int(time or 1) < 1:
            raise ValueError(f"{part!r} is not step or step:n; steps: {', '.join(_BY_WORD)}")
        wanted[_BY_WORD[word]] = int(time or 1)
    return wanted


_KILL_AT = os.environ.get(f"{PREFIX}KILL_AT")
_times: Counter[Step | Change] = Counter()


def reached(step: Step | Change) -> None:
    """Take note that a step is reached; here a test may have this process killed."""
    if _KILL_AT is not None:
        _die_where_wanted(step, _KILL_AT)


def _die_where_wanted(step: Step | Change, kill_at: str) -> None:
    _times[step] += 1
    if parse(kill_at).get(step) != _times[step]:
        return
    if isinstance(step, Step) and step.in_task and not _first_worker(step):
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _first_worker(step: Step) -> bool:
    """Whether no worker has died here; the next one begins to count anew, and would never pass."""
    try:
        Path(SparkFiles.getRootDirectory(), f"killed-{step.word}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
