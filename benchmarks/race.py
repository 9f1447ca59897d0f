"""Does a race of eight settings take out the hopeless soon, keep the good, and find the best?

In memory, with the engine's own arithmetic and the race's own mathematics (`recommender.race`,
which the live modeler judges by, too). In hindsight each setting is run alone over the whole
stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.accuracy import movielens
from benchmarks.report import Json, show
from recommender.datasets import Dataset, load
from recommender.generate import world
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.race import Race, RaceSettings
from recommender.rating_head import Errors
from recommender.stream_pass import learn_in_order

CONTESTANTS: dict[str, dict[str, float]] = {
    "defaults": {},
    "slower": {"learning_rate": 0.3},
    "faster": {"learning_rate": 0.8},
    "tighter": {"regularization": 0.2},
    "looser": {"regularization": 0.05},
    "decay 0.7": {"decay": 0.7},
    "hopeless: constant great steps": {"decay": 0, "learning_rate": 2, "bias_learning_rate": 2},
    "hopeless: hardly moves": {"learning_rate": 0.001, "bias_learning_rate": 0.001},
}
"""What each has otherwise than the defaults."""

_USERS, _ITEMS, _SEED = 600, 9_000, 42  # the size of ml-latest-small


def race(
    data: Annotated[
        Path | None,
        typer.Option(help="Ratings: MovieLens zip or folder, or CSV. Unset: ml-latest-small."),
    ] = None,
    generated: Annotated[bool, typer.Option(help="Generated data, whatever is there.")] = False,
    size: Annotated[int, typer.Option(min=1, help="Ratings of generated data.")] = 100_000,
    micro_batch: Annotated[int, typer.Option(min=1, help="Ratings that are judged as one.")] = 500,
    equals: Annotated[
        int, typer.Option(min=0, help="Races of eight that differ in their seed alone, each order.")
    ] = 5,
    as_json: Json = False,
) -> None:
    """Who is taken out of a race when, and how good its leader is in hindsight."""
    path = data or movielens()
    if generated or path is None:
        ratings, about = world(_USERS, _ITEMS, _SEED).dataset(size), "generated"
    else:
        ratings, about = load(path), path.stem
    rows = np.arange(len(ratings))
    orders = {
        name: ratings.take(order)
        for name, order in (
            ("time", ratings.by_time()),
            ("file", rows),
            ("shuffled", np.random.default_rng(_SEED).permutation(rows)),
        )
    }
    found = {name: judged(one, micro_batch) for name, one in orders.items()}
    wrong = {
        name: sum(bool(_of_equals(one, micro_batch, first).pruned) for first in range(equals))
        for name, one in orders.items()
    }
    figures: dict[str, Any] = {
        "data": about,
        "ratings": len(ratings),
        "micro_batch": micro_batch,
        "error": RaceSettings().race_error,
        "orders": {name: one["summary"] for name, one in found.items()},
        "prequential_rmse": {name: one["rmse"] for name, one in found.items()},
        "out_after": {name: one["out"] for name, one in found.items()},
        "races_of_equals": equals,
        "of_them_somebody_taken_out": wrong,
    }
    show("race", figures, as_json)


def judged(dataset: Dataset, micro_batch: int) -> dict[str, dict[str, Any]]:
    """One race over the ratings in their order, and each setting alone.

    Returns
    -------
    dict
        ``rmse``: prequential over the whole stream, of each setting alone. ``out``: after how many
        ratings each was taken out of the race. ``summary``: the leader at the end, the best in
        hindsight, and the share by which the leader's RMSE is above its.
    """
    race = _run(dataset, CONTESTANTS, micro_batch)
    rmse = {}
    for name, model in _models(dataset, CONTESTANTS).items():
        errors = learn_in_order(model, dataset.indexed(), micro_batch)
        rmse[name] = sum(errors, start=Errors()).rmse
    best = min(rmse, key=lambda name: rmse[name])
    return {
        "rmse": rmse,
        "out": {one.name: one.after for one in race.pruned},
        "summary": {
            "leader": race.leader,
            "best_in_hindsight": best,
            "leader_above_best": rmse[race.leader] / rmse[best] - 1,
            "still_running": len(race.running),
        },
    }


def _of_equals(dataset: Dataset, micro_batch: int, number: int) -> Race:
    """A race in which nobody is worse: eight that differ in their seed."""
    first = len(CONTESTANTS) * number
    seeds = {str(seed): {"seed": seed} for seed in range(first, first + len(CONTESTANTS))}
    return _run(dataset, seeds, micro_batch)


def _run(
    dataset: Dataset, contestants: Mapping[str, Mapping[str, float]], micro_batch: int
) -> Race:
    race = Race(_models(dataset, contestants), RaceSettings())
    ratings = dataset.indexed()
    for start in range(0, len(dataset), micro_batch):
        rows = slice(start, start + micro_batch)
        race.learn(ratings.users[rows], ratings.items[rows], ratings.ratings[rows])
    return race


def _models(
    dataset: Dataset, contestants: Mapping[str, Mapping[str, float]]
) -> dict[str, MemoryModel]:
    # The race is about the rating head's loss, which the ranking head does not change.
    plain = ModelSettings(
        rating_min=dataset.rating_min, rating_max=dataset.rating_max, ranking_rank=0
    )
    ids = dataset.indexed()
    return {
        name: MemoryModel(ids.user_ids, ids.item_ids, plain.model_copy(update=dict(changed)))
        for name, changed in contestants.items()
    }
