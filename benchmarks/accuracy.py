"""How well the engine predicts and ranks after one streaming pass, beside the simplest methods.

MovieLens ml-latest-small where it is at hand, else generated data, whose irreducible error is
known.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.report import Json, show
from modeler.methods import Method, Task, learn
from recommender.datasets import load
from recommender.evaluation import evaluate
from recommender.generate import World, world
from recommender.model_settings import ModelSettings
from recommender.splits import Split, random_split

_ROOT = Path(__file__).parents[1]
_MOVIELENS = (
    _ROOT.parent / "shared" / "data" / "ml-latest-small.zip",
    _ROOT / ".state" / "data" / "ml-latest-small.zip",
)
# The size of ml-latest-small.
_USERS, _ITEMS, _RATINGS, _SEED = 600, 9_000, 100_000, 42
_MICRO_BATCH = 1_000
# Learning each rating once and never again wants other steps: tuned as the defaults were, on a
# validation part of the training rows.
_ONE_PASS = {
    "passes": 1,
    "replay": 0,
    "learning_rate": 0.43,
    "bias_learning_rate": 0.43,
    "regularization": 0.13,
    "decay": 0.82,
}


def accuracy(
    data: Annotated[
        Path | None,
        typer.Option(help="Ratings: MovieLens zip or folder, or CSV. Unset: ml-latest-small."),
    ] = None,
    generated: Annotated[bool, typer.Option(help="Generated data, whatever is there.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of the engine to average over.")] = 3,
    as_json: Json = False,
) -> None:
    """RMSE and ranking of one streaming pass on 80 % of the ratings, judged by the rest."""
    path = data or movielens()
    if generated or path is None:
        truth = world(_USERS, _ITEMS, _SEED)
        split = random_split(truth.dataset(_RATINGS))
        about: dict[str, Any] = {"data": "generated", "noise_rmse": noise(truth, split)}
    else:
        split = random_split(load(path))
        about = {"data": path.stem}
    defaults = ModelSettings(rating_min=split.rating_min, rating_max=split.rating_max)
    methods: dict[str, Any] = {
        method.value: _judge(method, split, defaults)
        for method in (Method.popularity, Method.mean, Method.biases)
    }
    settings = {
        "stream": defaults,
        "stream, replay 9": defaults.model_copy(update={"replay": 9}),
        "stream, one pass, no replay": defaults.model_copy(update=_ONE_PASS),
        "stream, no ranking head": defaults.model_copy(update={"ranking_rank": 0}),
    }
    for name, one in settings.items():
        runs = [
            _judge(Method.stream, split, one.model_copy(update={"seed": one.seed + k}))
            for k in range(seeds)
        ]
        methods[name] = {
            **{
                figure: float(np.mean([run[figure] for run in runs]))
                if isinstance(first, float)
                else first
                for figure, first in runs[0].items()
            },
            "rmse_warm_deviation": float(np.std([run["rmse_warm"] for run in runs])),
        }
    show("accuracy", {**about, "seeds": seeds, "methods": methods}, as_json)


def movielens() -> Path | None:
    """Where ml-latest-small is; None where it is not at hand."""
    return next((place for place in _MOVIELENS if place.exists()), None)


def _judge(method: Method, split: Split, settings: ModelSettings) -> dict[str, float | int]:
    started = time.perf_counter()
    learned = learn(method, Task(split.train, settings, _MICRO_BATCH))
    seconds = time.perf_counter() - started
    return {**evaluate(learned.recommender, split).figures(), "seconds_learning": seconds}


def noise(truth: World, split: Split) -> float:
    """The warm test pairs' irreducible RMSE; generated ids are ``u`` or ``i`` and code + 1."""
    test = split.test
    warm = (test.users < split.n_train_users) & (test.items < split.n_train_items)
    users = np.array([int(name[1:]) - 1 for name in split.user_ids.to_pylist()])
    items = np.array([int(name[1:]) - 1 for name in split.item_ids.to_pylist()])
    return truth.noise_rmse(users[test.users[warm]], items[test.items[warm]])
