"""Does a race of eight settings take out the hopeless soon, keep the good, and find the best?

In memory, with the engine's own arithmetic and the race's own mathematics (`recommender.race`,
which the live modeler judges by, too), or on the live stream by the product itself
(`benchmarks.live_race`). In hindsight each setting is run alone over the whole stream, in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.accuracy import movielens
from benchmarks.live_race import live_race
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
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="One race, in order of time, by the product: Kafka, Spark, Postgres and Redis.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Who is taken out of a race when, and how good its leader is in hindsight."""
    path = data or movielens()
    if generated or path is None:
        ratings, about = world(_USERS, _ITEMS, _SEED).dataset(size), "generated"
    else:
        ratings, about = load(path), path.stem
    if live:
        show("race", {"data": about, **raced_live(ratings, micro_batch)}, as_json)
        return
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
    rmse = _in_hindsight(dataset, micro_batch)
    return {
        "rmse": rmse,
        "out": {one.name: one.after for one in race.pruned},
        "summary": {**_compared(rmse, race.leader), "still_running": len(race.running)},
    }


def raced_live(dataset: Dataset, micro_batch: int) -> dict[str, Any]:
    """The same race by the product, over the ratings in order of time; its figures."""
    in_time = dataset.take(dataset.by_time())
    found, told = live_race(in_time, CONTESTANTS, micro_batch)
    rmse = _in_hindsight(in_time, micro_batch)
    return {
        "ratings": len(dataset),
        "micro_batch": micro_batch,
        **_compared(rmse, found.leader),
        "still_running": len(found.rmse),
        "out_after": found.out,
        "learned_until_retired": found.learned,
        "prequential_rmse": rmse,
        "prequential_rmse_live": found.rmse,
        **told,
    }


def _in_hindsight(dataset: Dataset, micro_batch: int) -> dict[str, float]:
    """Prequential RMSE of each setting alone, over the whole stream."""
    return {
        name: sum(learn_in_order(model, dataset.indexed(), micro_batch), start=Errors()).rmse
        for name, model in _models(dataset, CONTESTANTS).items()
    }


def _compared(rmse: Mapping[str, float], leader: str) -> dict[str, Any]:
    best = min(rmse, key=lambda name: rmse[name])
    return {
        "leader": leader,
        "best_in_hindsight": best,
        "leader_above_best": rmse[leader] / rmse[best] - 1,
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
