"""``python -m modeler fit``: learn from all ratings at once, and keep the model in a file."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from modeler.method_options import SetOption, parse
from modeler.methods import Method, Task, learn
from modeler.model_options import model_options, model_settings
from modeler.showing import bar, without_nan
from recommender.datasets import Dataset, load
from recommender.errors import InvalidInput
from recommender.model_file import ModelFile, save


@model_options
def fit(
    model: dict[str, Any],
    data: Annotated[
        Path | None, typer.Option(help="Ratings: CSV, or a MovieLens zip or folder.")
    ] = None,
    stored: Annotated[
        bool, typer.Option("--stored", help="The ratings stored in Postgres instead of a file.")
    ] = False,
    output: Annotated[Path, typer.Option(help="The model file to write.")] = Path("model.npz"),
    method: Annotated[Method, typer.Option(help="How to learn.")] = Method.refit,
    set_: SetOption = None,
    micro_batch: Annotated[int, typer.Option(min=1, help="Ratings in a micro-batch.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Learn a model from DATA, or from the stored ratings, and write it to OUTPUT.

    `evaluate` judges such a file, `python -m recommender recommend` recommends from it.
    """
    if (data is not None) == stored:
        raise InvalidInput("data", data and str(data), "either --data FILE or --stored")
    if not output.parent.is_dir():
        raise InvalidInput("--output", str(output), "a file in a folder that exists")
    options = parse(set_)
    dataset = _stored() if data is None else load(data)
    train = dataset.indexed()
    settings = model_settings({**options, **model}, (dataset.rating_min, dataset.rating_max))

    with bar(method.value) as progress:
        started = time.perf_counter()
        learned = learn(method, Task(train, settings, micro_batch, progress, options))
        seconds = time.perf_counter() - started
    report = {"seconds_learning": seconds, "n_train": len(dataset), **learned.report}
    save(
        output,
        ModelFile(
            model=learned.recommender,
            train=train,
            method=method.value,
            data=dataset.name,
            scale=(settings.rating_min, settings.rating_max),
            settings=learned.settings,
            report=report,
            titles={entry["item"]: entry["title"] for entry in dataset.catalogue if entry["title"]},
        ),
    )
    if as_json:
        told = {"model": str(output), "method": method.value, "settings": learned.settings}
        typer.echo(json.dumps(without_nan({**told, **report}), allow_nan=False))
    else:
        Console().print(
            f"{output}: {method.value}, {len(dataset):,} ratings of {dataset.name}, "
            f"{seconds:.1f} s",
            highlight=False,
            soft_wrap=True,
        )


def _stored() -> Dataset:
    from recommender.settings import load as load_settings
    from storage.settings import PostgresSettings
    from storage.stored_ratings import stored_ratings

    return stored_ratings(load_settings(PostgresSettings))
