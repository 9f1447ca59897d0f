"""The rating head's kernel alone, in memory, against the same formula in plain numpy."""

from __future__ import annotations

import time
from typing import Annotated

import numpy as np
import typer

from benchmarks.report import Json, show
from recommender.datasets import IndexedRatings
from recommender.generate import generate
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.rows import Rows

_PLAIN_RATINGS = 20_000  # a second of plain numpy: enough for a rate, and to compare results


def kernel(
    ratings: Annotated[int, typer.Option(min=_PLAIN_RATINGS, help="Ratings learned.")] = 2_000_000,
    users: Annotated[int, typer.Option(min=1, help="Users.")] = 100_000,
    items: Annotated[int, typer.Option(min=1, help="Items.")] = 20_000,
    rank: Annotated[int, typer.Option(min=1, help="Factors.")] = 32,
    repeats: Annotated[int, typer.Option(min=1, help="Runs; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the data.")] = 1,
    as_json: Json = False,
) -> None:
    """Updates per second of the compiled kernel on one core, and of plain numpy."""
    settings = ModelSettings(rank=rank, passes=1)
    data = generate(users, items, ratings, seed).indexed()
    _compiled(data, settings, _PLAIN_RATINGS)  # compile before the clock runs

    runs = [_compiled(data, settings, ratings)[1] for _ in range(repeats)]
    seconds = float(np.median(runs))
    model, _ = _compiled(data, settings, _PLAIN_RATINGS)
    plain, plain_seconds = _plain(data, settings, _PLAIN_RATINGS)
    difference = np.abs(plain.user_rows.factors - model.user_rows.factors).max()

    show(
        "kernel",
        {
            "updates_per_second": ratings / seconds,
            "plain_updates_per_second": _PLAIN_RATINGS / plain_seconds,
            "speedup": (ratings / seconds) / (_PLAIN_RATINGS / plain_seconds),
            "largest_difference": float(difference),
            "ratings": ratings,
            "users": users,
            "items": items,
            "rank": rank,
            "seconds": runs,
        },
        as_json,
    )


def _compiled(
    data: IndexedRatings, settings: ModelSettings, length: int
) -> tuple[MemoryModel, float]:
    """A model that has learned the first ratings, and the seconds of learning alone."""
    model = MemoryModel(data.user_ids, data.item_ids, settings)
    rows = slice(0, length)
    started = time.perf_counter()
    model.learn(data.users[rows], data.items[rows], data.ratings[rows])
    return model, time.perf_counter() - started


def _plain(data: IndexedRatings, settings: ModelSettings, length: int) -> tuple[MemoryModel, float]:
    """The same by the formula of `recommender.rating_head`, rating by rating."""
    model = MemoryModel(data.user_ids, data.item_ids, settings)
    users, items = model.user_rows, model.item_rows
    low, high = settings.rating_min, settings.rating_max
    total, unit = 0.0, settings.step.unit
    columns = (data.users[:length].tolist(), data.items[:length].tolist(), data.ratings[:length])
    started = time.perf_counter()
    for count, (x, y, rating) in enumerate(zip(*columns, strict=True)):
        mean = (total + settings.middle) / (count + 1)
        predicted = mean + users.bias[x] + items.bias[y] + users.factors[x] @ items.factors[y]
        error = min(max(rating - predicted, low - high), high - low)
        rates = [_rates(rows, place, settings) for rows, place in ((users, x), (items, y))]
        decayed = settings.regularization
        users.bias[x] += rates[0][0] * (error - decayed * users.bias[x])
        items.bias[y] += rates[1][0] * (error - decayed * items.bias[y])
        u, p = users.factors[x].copy(), items.factors[y].copy()
        users.factors[x] += rates[0][1] * (error / unit * p - decayed * u)
        items.factors[y] += rates[1][1] * (error / unit * u - decayed * p)
        users.n[x] += 1
        items.n[y] += 1
        total += rating
    return model, time.perf_counter() - started


def _rates(rows: Rows, place: int, settings: ModelSettings) -> tuple[float, float]:
    shrinking = (1 + int(rows.n[place])) ** -settings.decay
    return settings.bias_learning_rate * shrinking, settings.learning_rate * shrinking
