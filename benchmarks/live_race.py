"""A race on the live stream: the product's own commands, modeler and stores, and what they tell.

Ratings are written into the log micro-batch by micro-batch, each when the one before has been
learned, as quick live traffic comes. Who leads and who is out is read from ``race status``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg2
from psycopg2.extensions import connection

from benchmarks.draining import MODEL, progress, start_modeler, write_log
from benchmarks.running import stores
from benchmarks.steps import medians, totals
from local.processes import Child
from local.stack import Content, Stack
from recommender.datasets import Dataset
from recommender.errors import RecommenderError

_PATIENCE = 180.0  # seconds for one thing to happen: a start of Spark, a micro-batch, a judgement
_POLL = 0.02  # seconds; a micro-batch takes some tenths
_KEEPER_POLL = 2.0  # seconds; the keeper looks every five
_COST_MICRO_BATCHES = 30  # of each kind; the first few after a change of models are left out
_SETTLING = 5
_NEVER_WARM = 10_000  # micro-batches: a race in which nobody is judged, to see what it costs

_LEADS = re.compile(r"model (\d+) leads \d+ after ([\d,]+) ratings")
_OUT_AFTER = re.compile(r"after ([\d,]+) ratings$")


@dataclass(frozen=True)
class Standing:
    """What ``race status`` tells, by the contestants' names.

    Attributes
    ----------
    leader : str
    judged : int
        Ratings that the keeper has judged by.
    rmse : dict
        Prequential since the race began, of those who still learn.
    out : dict
        After how many ratings each was judged to be worse.
    learned : dict
        Ratings that each of those has learned, until it was retired.
    """

    leader: str
    judged: int
    rmse: dict[str, float] = field(default_factory=dict)
    out: dict[str, int] = field(default_factory=dict)
    learned: dict[str, int] = field(default_factory=dict)


def standing(status: Mapping[str, Any], names: Mapping[int, str]) -> Standing | None:
    """Read ``race status --json``; None before the keeper has told who leads.

    Parameters
    ----------
    status : mapping
    names : mapping of int to str
        Of the models.
    """
    leads = _LEADS.search(status["reason"])
    if leads is None:
        return None
    after = {one["model"]: _OUT_AFTER.search(one["reason"]) for one in status["out"]}
    return Standing(
        leader=names[int(leads[1])],
        judged=_number(leads[2]),
        rmse={names[one["model"]]: one["rmse"] for one in status["contestants"]},
        out={names[model]: _number(found[1]) for model, found in after.items() if found},
        learned={
            names[one["model"]]: one["curve"][-1]["ratings"]
            for one in status["out"]
            if after[one["model"]]
        },
    )


def live_race(
    dataset: Dataset, contestants: Mapping[str, Mapping[str, float]], micro_batch: int
) -> tuple[Standing, dict[str, Any]]:
    """Race settings over ratings in their order, by the product.

    Parameters
    ----------
    dataset : Dataset
    contestants : mapping of str to mapping
        What each has otherwise than the defaults; the one that has nothing serves.
    micro_batch : int
        Ratings of a micro-batch, and of a stretch that is judged as one.

    Returns
    -------
    Standing
        In the end.
    dict
        What the race costs, and the micro-batches that were learned.
    """
    with stores() as (stack, children), closing(psycopg2.connect(stack.postgres.dsn())) as truth:
        truth.autocommit = True
        settings = {
            "keeper_stretch": micro_batch,
            "rating_min": dataset.rating_min,
            "rating_max": dataset.rating_max,
        }
        modeler = start_modeler(stack, children, settings)
        stream = _Stream(stack, modeler, truth, micro_batch)
        stream.await_true("SELECT count(*) FROM models WHERE status = 'serving'", 1)
        with _race(stack, contestants) as names:
            stream.send(dataset)
            found = _judged(stack, names, len(dataset) - micro_batch, modeler)
            (batches,) = stream.ask(
                "SELECT count(*) FROM micro_batches WHERE model = %s AND ratings > 0", MODEL
            )
        cost = _cost(stack, stream, dataset, contestants, micro_batch)
    return found, {"micro_batches": batches, "cost": cost}


class _Stream:
    """The log that is written to, and the modeler that learns from it."""

    def __init__(self, stack: Stack, modeler: Child, truth: connection, micro_batch: int) -> None:
        self._stack, self._modeler, self._truth = stack, modeler, truth
        self._micro_batch = micro_batch
        self._sent = 0

    def send(self, dataset: Dataset) -> None:
        """Write ratings, a micro-batch when the last one has been learned."""
        with progress() as shown:
            bar = shown.add_task("learning", total=len(dataset))
            for start in range(0, len(dataset), self._micro_batch):
                chunk = dataset.take(np.arange(start, min(start + self._micro_batch, len(dataset))))
                self._sent += write_log(self._stack, [chunk])
                self.await_true(
                    f"SELECT rating_count FROM models WHERE model = {MODEL}", self._sent
                )
                shown.advance(bar, len(chunk))

    def ask(self, query: str, *values: object) -> Any:
        """The first row of an answer."""
        with self._truth.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchone()

    def await_true(self, query: str, wanted: int) -> None:
        """Return once the answer is so much.

        Raises
        ------
        RecommenderError
            If the modeler ends, or it takes too long.
        """
        _await(lambda: (self.ask(query) or (None,))[0] == wanted, self._modeler)

    def milliseconds(self, dataset: Dataset) -> dict[str, float]:
        """Learn ratings and tell what a micro-batch took, and each step of it; medians."""
        (before,) = self.ask("SELECT batch FROM models WHERE model = %s", MODEL)
        self.send(dataset)
        with self._truth.cursor() as cursor:
            cursor.execute(
                """SELECT seconds FROM micro_batches WHERE model = %s AND batch > %s
                   AND ratings > 0 ORDER BY batch""",
                (MODEL, before),
            )
            taken = [seconds for (seconds,) in cursor.fetchall()][_SETTLING:]
        return {
            "micro_batch": 1000 * float(np.median(totals(taken))),
            **{step: 1000 * median for step, median in medians(taken).items()},
        }


def _cost(
    stack: Stack,
    stream: _Stream,
    dataset: Dataset,
    contestants: Mapping[str, Mapping[str, float]],
    micro_batch: int,
) -> dict[str, Any]:
    """Milliseconds of a micro-batch with all contestants, and with the serving model alone.

    The last ratings of the data are sent again, as rated again; Java and workers are warm by now.
    """
    last = (_COST_MICRO_BATCHES + _SETTLING) * micro_batch
    again = dataset.take(np.arange(len(dataset))[-last:])
    alone = [stream.milliseconds(again)]
    with _race(stack, contestants, {"race_warm_up": _NEVER_WARM}):
        racing = stream.milliseconds(again)
        told = _status(stack)["cost"]
    alone.append(stream.milliseconds(again))
    mean = {step: float(np.mean([one[step] for one in alone])) for step in alone[0]}
    return {
        "contestants": told["copies"] + 1,
        "milliseconds_racing": racing,
        "milliseconds_alone": mean,
        "share_of_a_micro_batch": 1 - mean["micro_batch"] / racing["micro_batch"],
        "share_as_race_status_tells": told["share"],
    }


@contextmanager
def _race(
    stack: Stack,
    contestants: Mapping[str, Mapping[str, float]],
    settings: Mapping[str, object] | None = None,
) -> Iterator[dict[int, str]]:
    """A race that goes on; the contestants' names by model."""
    changed = {
        name: ",".join(f"{setting}={value:g}" for setting, value in one.items())
        for name, one in contestants.items()
        if one
    }
    sets = [f"--set={text}" for text in changed.values()]
    _command(stack, ["start", *sets], settings)
    # The copies count up from the serving model in the order in which they were given.
    status = _status(stack)
    copies = sorted(one["model"] for one in status["contestants"] if one["status"] != "serving")
    (serving,) = (name for name, one in contestants.items() if not one)
    yield {MODEL: serving, **dict(zip(copies, changed, strict=True))}
    _command(stack, ["stop"])


def _judged(stack: Stack, names: Mapping[int, str], ratings: int, modeler: Child) -> Standing:
    """The standing once the keeper has judged by so many ratings at least."""
    found: list[Standing] = []

    def judged() -> bool:
        now = standing(_status(stack), names)
        if now is None or now.judged <= ratings:
            return False
        found.append(now)
        return True

    _await(judged, modeler, _KEEPER_POLL)
    return found[0]


def _await(condition: Callable[[], bool], modeler: Child, poll: float = _POLL) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if modeler.status is not None or time.monotonic() > deadline:
            raise RecommenderError(f"the modeler does not learn:\n{modeler.log_end()}")
        time.sleep(poll)


def _status(stack: Stack) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(_command(stack, ["status", "--json"]))
    return told


def _command(
    stack: Stack, arguments: Sequence[str], settings: Mapping[str, object] | None = None
) -> str:
    """Run ``python -m modeler race``; what it prints."""
    own = {f"RECOMMENDER_{name.upper()}": str(value) for name, value in (settings or {}).items()}
    done = subprocess.run(
        [sys.executable, "-m", "modeler", "race", *arguments],
        env={**os.environ, **stack.environment(Content("generated: benchmark")), **own},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode:
        raise RecommenderError(f"race {arguments[0]} failed: {done.stderr[-2000:]}")
    return done.stdout


def _number(text: str) -> int:
    return int(text.replace(",", ""))
