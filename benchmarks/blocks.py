"""Large micro-batches in B × B blocks, for several B: as accurate as in one, and as quick.

A first micro-batch teaches the model and warms the workers, those that follow are measured. A last
part of the ratings is never learned: the factors in Postgres are judged on it.
"""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any

import numpy as np
import psycopg2
import pyarrow as pa
import typer

from benchmarks.draining import MODEL, drain, progress, start_modeler, write_log
from benchmarks.report import Json, show
from benchmarks.running import stores
from benchmarks.steps import medians, totals
from recommender import rating_head
from recommender.datasets import Dataset
from recommender.errors import RecommenderError
from recommender.generate import world
from recommender.initial import Side
from recommender.model_settings import ModelSettings
from recommender.rating_head import Mean
from storage.staging import TaskStore

_TIMEOUT = 900.0  # seconds for all micro-batches
_ROUNDED_DOWN = 100
_MEASURED = 3  # micro-batches: one alone differs by a fifth from run to run


def blocks(
    ratings: Annotated[int, typer.Option(min=1000, help="Ratings of a micro-batch.")] = 500_000,
    users: Annotated[int, typer.Option(min=1, help="Users.")] = 50_000,
    items: Annotated[int, typer.Option(min=1, help="Items.")] = 10_000,
    numbers: Annotated[
        list[int] | None, typer.Option("--blocks", help="B; may be repeated. Default: 1 to 16.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the data.")] = 1,
    as_json: Json = False,
) -> None:
    """RMSE and median time of micro-batches cut into B × B blocks."""
    figures = {
        str(number): _measured(number, ratings, users, items, seed)
        for number in numbers or (1, 2, 4, 8, 16)
    }
    show("blocks", {"ratings": ratings, "users": users, "items": items, **figures}, as_json)


def _measured(number: int, ratings: int, users: int, items: int, seed: int) -> dict[str, Any]:
    *learned, test = world(users, items, seed).chunks((_MEASURED + 2) * ratings, ratings)
    sent = len(learned) * ratings
    # Spark's limit is a share for each partition of the log, rounded down.
    settings = {"blocks": number, "backlog": 1, "backlog_batch": ratings + _ROUNDED_DOWN}
    with stores() as (stack, children), progress() as shown:
        write_log(stack, learned, shown, sent)
        drain(stack, start_modeler(stack, children, settings), sent, _TIMEOUT, shown)
        dsn = stack.postgres.dsn()
        with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(
                """SELECT seconds, sqrt(squared_error / ratings), ratings
                   FROM micro_batches WHERE model = %s ORDER BY batch""",
                (MODEL,),
            )
            batches = cursor.fetchall()
            cursor.execute("SELECT rating_sum, rating_count FROM models WHERE model = %s", (MODEL,))
            total, count = cursor.fetchone() or (0.0, 0)
        sizes = [size for _, _, size in batches]
        # The first ones may take a little more, which the last lacks.
        tolerance = _ROUNDED_DOWN * len(learned)
        if len(sizes) != len(learned) or any(abs(size - ratings) > tolerance for size in sizes):
            raise RecommenderError(f"not micro-batches of {ratings}: {sizes}")
        rmse = _rmse(dsn, test, Mean(ModelSettings().middle, total, count).value)
    taken = [seconds for seconds, _, _ in batches[1:]]
    return {
        "rmse": rmse,
        "prequential_rmse": batches[-1][1],
        "seconds": float(np.median(totals(taken))),
        "steps": {step: round(median, 3) for step, median in medians(taken).items()},
    }


def _rmse(dsn: str, test: Dataset, mean: float) -> float:
    """Of ratings whose user and item the model knows."""
    form = ModelSettings().format
    codes, rows = {}, {}
    sides: tuple[tuple[Side, pa.StringArray], ...] = (("user", test.users), ("item", test.items))
    with closing(TaskStore(dsn)) as store:
        for side, ids in sides:
            encoded = ids.dictionary_encode()
            places, rows[side] = store.rows(MODEL, side, encoded.dictionary, form)
            row_of = np.full(len(encoded.dictionary), -1, np.int32)
            row_of[places] = np.arange(len(places))
            codes[side] = row_of[encoded.indices.to_numpy()]
    known = (codes["user"] >= 0) & (codes["item"] >= 0)
    predicted = rating_head.predict(
        codes["user"][known], codes["item"][known], mean, rows["user"], rows["item"]
    )
    return float(np.sqrt(((predicted - test.ratings[known]) ** 2).mean()))
