"""Trials of a search: run in parallel on Spark, noted one by one, never run twice.

A trial is one setting learned on the training part of one fold and judged by its test part. Each is
a Spark job: for the methods of our own one task, so that as many run at a time as the cluster has
cores for; ALS is a Spark program itself, and several are submitted at the same time from threads,
as MLlib's own CrossValidator does.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modeler.methods import Method, Task, learn
from modeler.search_space import Settings
from modeler.showing import without_nan
from recommender.datasets import Dataset
from recommender.evaluation import evaluate
from recommender.model_settings import ModelSettings
from recommender.splits import Split

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ON_DRIVER = (Method.als, Method.als_implicit)


@dataclass(frozen=True)
class Result:
    """What one trial found.

    Parameters
    ----------
    search : str
        Digest of what results must share to be compared: data, method, folds, seed.
    settings : dict
    fold : int
    figures : dict
        Of the evaluation.
    seconds : float
        Of learning.
    """

    search: str
    settings: Settings
    fold: int
    figures: dict[str, Any]
    seconds: float


def digest(dataset: Dataset, *about: object) -> str:
    """Of the data and whatever else results depend on."""
    found = hashlib.sha256(repr(about).encode())
    ratings = dataset.indexed()
    for column in (ratings.users, ratings.items, ratings.ratings, ratings.timestamps):
        found.update(np.ascontiguousarray(column).tobytes())
    return found.hexdigest()[:16]


def noted(path: Path, search: str) -> list[Result]:
    """The results of this search that a file holds; a line that was cut short is passed over."""
    if not path.exists():
        return []
    results = []
    for line in path.read_text().splitlines():
        try:
            found = Result(**json.loads(line))
        except (ValueError, TypeError):
            continue
        if found.search == search:
            results.append(found)
    return results


def run(
    spark: SparkSession,
    method: Method,
    trials: Sequence[tuple[Settings, int]],
    splits: Sequence[Split],
    base: ModelSettings,
    micro_batch: int,
    search: str,
    path: Path,
    parallel: int,
    told: Callable[[Result], None],
) -> list[Result]:
    """Run trials, each setting with the number of its fold, and note each in the file as it ends.

    Parameters
    ----------
    spark : SparkSession
    method : Method
    trials : sequence of (dict, int)
    splits : sequence of Split
        The folds.
    base : ModelSettings
        What trials do not set.
    micro_batch : int
    search : str
        Of `digest`.
    path : Path
        Results are appended to it.
    parallel : int
        Trials at a time.
    told : callable
        Called with each result.
    """
    # Each executor gets the data once, not with every task.
    shared: Any = spark.sparkContext.broadcast((list(splits), base, micro_batch))

    def one(settings: Settings, fold: int) -> Result:
        if method in _ON_DRIVER:
            figures, seconds = _try(
                Task(splits[fold].train, base, micro_batch, spark=lambda: spark),
                *(method, settings, splits[fold]),
            )
        else:
            found = (
                spark.sparkContext.parallelize([(settings, fold)], 1)
                .map(lambda job: _in_task(method, *job, *shared.value))
                .collect()
            )
            figures, seconds = found[0]
        return Result(search, settings, fold, figures, seconds)

    results = []
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        with path.open("a") as opened:
            opened.write("\n")  # after a line that a kill cut short
    try:
        with ThreadPoolExecutor(parallel) as pool, path.open("a") as opened:
            running = [pool.submit(one, settings, fold) for settings, fold in trials]
            try:
                for done in as_completed(running):
                    result = done.result()
                    opened.write(json.dumps(without_nan(asdict(result))) + "\n")
                    opened.flush()
                    results.append(result)
                    told(result)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        shared.destroy()
    return results


def _in_task(
    method: Method,
    settings: Settings,
    fold: int,
    splits: Sequence[Split],
    base: ModelSettings,
    micro_batch: int,
) -> tuple[dict[str, Any], float]:
    """One trial in a Python worker of Spark."""
    split = splits[fold]
    # A worker of Spark's has no Spark of its own.
    alone = {"refit_way": "process"}
    return _try(Task(split.train, base, micro_batch, options=alone), method, settings, split)


def _try(
    task: Task, method: Method, settings: Settings, split: Split
) -> tuple[dict[str, Any], float]:
    """One trial, wherever it runs; figures, and seconds of learning."""
    own = {name: value for name, value in settings.items() if name in ModelSettings.model_fields}
    model = ModelSettings.model_validate({**task.settings.model_dump(), **own})
    started = time.perf_counter()
    learned = learn(method, replace(task, settings=model, options={**task.options, **settings}))
    seconds = time.perf_counter() - started
    return dict(evaluate(learned.recommender, split).figures()), seconds
