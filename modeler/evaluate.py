"""``python -m modeler evaluate``: learn one file of ratings, be judged by another; no services."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from modeler.methods import METHODS, Method, Task
from modeler.model_options import model_options, model_settings
from recommender.datasets import IndexedRatings, load
from recommender.evaluation import evaluate as judge
from recommender.evaluation import relevant_rating
from recommender.splits import Split


class Order(StrEnum):
    """The order in which training ratings are learned."""

    file = "file"
    time = "time"


@model_options
def evaluate(
    train: Annotated[
        Path, typer.Option(help="Ratings to learn: CSV, or a MovieLens zip or folder.")
    ],
    test: Annotated[Path, typer.Option(help="Ratings to be judged by.")],
    model: dict[str, Any],
    method: Annotated[Method, typer.Option(help="How to learn.")] = Method.stream,
    micro_batch: Annotated[int, typer.Option(min=1, help="Ratings in a micro-batch.")] = 1000,
    order: Annotated[
        Order, typer.Option(help="Learn in order of the file or of time.")
    ] = Order.file,
    k: Annotated[int, typer.Option(min=1, max=1000, help="Length of the lists judged.")] = 10,
    relevant_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Relevant are test ratings from this share of the scale on.",
            show_default="ratings of at least 4",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Learn TRAIN, judge by TEST: errors of predicted ratings and quality of top lists.

    Ranking is over all items that are not in the user's training rows, averaged over users with a
    relevant test item.
    """
    train_set, test_set = load(train), load(test)
    split = Split.of(train_set, test_set)
    settings = model_settings(model, (split.rating_min, split.rating_max))
    ratings = split.train
    if order is Order.time:
        ratings = _reordered(ratings, np.argsort(ratings.timestamps, kind="stable"))

    console = Console(stderr=True)
    started = time.perf_counter()
    with Progress(
        TextColumn("learning"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("ratings"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bar = progress.add_task("learning", total=len(ratings.ratings))
        learned = METHODS[method](
            Task(ratings, settings, micro_batch, lambda done: progress.advance(bar, done))
        )
    seconds_learning = time.perf_counter() - started

    relevant = relevant_rating(settings.rating_min, settings.rating_max, relevant_share)
    figures = judge(learned.recommender, split, k=k, relevant=relevant).figures()
    report = {
        "method": method.value,
        "n_train": len(ratings.ratings),
        **figures,
        "relevant_rating": relevant,
        "seconds": time.perf_counter() - started,
        "seconds_learning": seconds_learning,
        **learned.report,
    }
    if as_json:
        typer.echo(json.dumps(without_nan(report), allow_nan=False))
    else:
        Console().print(_table(report))


def without_nan(value: Any) -> Any:
    """The same with None for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {name: without_nan(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _reordered(ratings: IndexedRatings, rows: npt.NDArray[np.int64]) -> IndexedRatings:
    columns = ("users", "items", "ratings", "timestamps")
    changed: dict[str, Any] = {name: getattr(ratings, name)[rows] for name in columns}
    return dataclasses.replace(ratings, **changed)


def _table(report: dict[str, Any]) -> Table:
    table = Table(title=f"{report['method']}: {report['n_train']:,} ratings learned")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in report.items():
        if isinstance(value, float):
            table.add_row(name, "–" if math.isnan(value) else f"{value:.4f}")
        elif isinstance(value, int):
            table.add_row(name, f"{value:,}")
    return table
