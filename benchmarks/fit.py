"""Batch training: a refit by the engine's kernels beside Spark's ALS, on the same ratings.

The rating head alone against explicit ALS at the same rank: each minimises squared error. The refit
goes both its ways, in this process and by tasks of Spark's, with the same result. All are warmed up
first (kernels compiled, Spark started and one small training run), so the clock has nothing but
learning in it, sending the ratings to Spark included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from benchmarks.accuracy import noise
from benchmarks.report import Json, show
from modeler.als import train_als
from modeler.batch import session
from modeler.refit_way import way
from recommender.accuracy import accuracy
from recommender.evaluation import Recommender
from recommender.generate import generate, world
from recommender.model_settings import ModelSettings
from recommender.refit import RefitSettings, refit
from recommender.splits import Split, random_split

# A million ratings make a smaller λ right than MovieLens's hundred thousand, and fewer epochs do.
_REFIT: dict[str, Any] = {
    "refit_ranking_rank": 0,
    "refit_validation_share": 0.0,
    "refit_learning_rate": 0.04,
    "refit_fall": 0.07,
    "refit_regularization": 0.05,
}
_ALS_ITERATIONS = 10


def fit(
    users: Annotated[int, typer.Option(min=10, help="Users.")] = 6_000,
    items: Annotated[int, typer.Option(min=10, help="Items.")] = 4_000,
    ratings: Annotated[int, typer.Option(min=100, help="Ratings, 80 % of them learned.")] = (
        1_000_000
    ),
    rank: Annotated[int, typer.Option(min=1, max=512, help="Factors of both.")] = 50,
    reg_param: Annotated[float, typer.Option(min=0, help="λ of ALS.")] = 0.05,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of the refit.")] = 20,
    repeats: Annotated[int, typer.Option(min=1, help="Refits; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Seed of data and models.")] = 42,
    as_json: Json = False,
) -> None:
    """Seconds and RMSE of a refit, in one process and on Spark, and of Spark's ALS."""
    truth = world(users, items, seed)
    split = random_split(truth.dataset(ratings))
    settings = ModelSettings(rating_min=split.rating_min, rating_max=split.rating_max, seed=seed)
    small = generate(100, 80, 1_500, seed).indexed()
    spark = session()

    ours = RefitSettings(refit_rank=rank, refit_epochs=epochs, **_REFIT)
    on_spark = way("spark", lambda: spark)

    def refitted() -> Recommender:
        return refit(split.train, settings, ours).model

    def refitted_on_spark() -> Recommender:
        return refit(split.train, settings, ours, way=on_spark).model

    def alternating() -> Recommender:
        return train_als(spark, split.train, rank, _ALS_ITERATIONS, reg_param, None, seed)

    warm = ours.model_copy(update={"refit_epochs": 1})
    refit(small, settings, warm)
    refit(small, settings, warm, way=on_spark)
    train_als(spark, small, rank, 1, reg_param, None, seed)
    runs = sorted(
        (_judged(refitted, split) for _ in range(repeats)), key=lambda run: run["seconds"]
    )
    alone, theirs = runs[len(runs) // 2], _judged(alternating, split)
    by_tasks = _judged(refitted_on_spark, split)
    show(
        "fit",
        {
            "users": users,
            "items": items,
            "ratings_learned": len(split.train.ratings),
            "rank": rank,
            "noise_rmse": noise(truth, split),
            "als_seconds_over_refit_seconds": theirs["seconds"] / alone["seconds"],
            "methods": {
                "refit": {**alone, "epochs": epochs},
                "refit_on_spark": {**by_tasks, "epochs": epochs},
                "als": {**theirs, "iterations": _ALS_ITERATIONS, "reg_param": reg_param},
            },
        },
        as_json,
    )


def _judged(train: Callable[[], Recommender], split: Split) -> dict[str, float]:
    started = time.perf_counter()
    model = train()
    seconds = time.perf_counter() - started
    test = split.test
    warm = (test.users < split.n_train_users) & (test.items < split.n_train_items)
    found = accuracy(model.predict(test.users, test.items), test.ratings, warm, test.users)
    return {"seconds": seconds, "rmse_warm": float(found.figures()["rmse_warm"])}
