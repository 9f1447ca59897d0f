"""``python -m modeler simulate``: the stream beside the batch, as a figure, a table and a film."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from modeler.method_options import Order, SetOption, parse
from modeler.methods import Method, Task, learn
from modeler.model_options import model_options, model_settings
from modeler.showing import bar
from modeler.stream_curve import Curve, curve
from recommender.datasets import load
from recommender.errors import InvalidInput
from recommender.evaluation import Evaluation, relevant_rating
from recommender.evaluation import evaluate as judge
from recommender.splits import Splitting, splits

FIGURES = {"rmse_warm": "RMSE, warm pairs", "ndcg_at_10": "NDCG@10"}
"""One for each head, by the evaluation's name."""


@model_options
def simulate(
    model: dict[str, Any],
    data: Annotated[
        Path | None, typer.Option(help="Ratings: CSV, or a MovieLens zip or folder.")
    ] = None,
    shop: Annotated[
        bool, typer.Option("--shop", help="The shop of 300 x 300 instead: ratings as a picture.")
    ] = False,
    output: Annotated[Path, typer.Option(help="Folder for what is made.")] = Path("simulation"),
    batch: Annotated[
        list[Method] | None,
        typer.Option(help="Methods drawn as dashed lines.", show_default="als, refit"),
    ] = None,
    set_: SetOption = None,
    micro_batch: Annotated[int, typer.Option(min=1, help="Ratings in a micro-batch.")] = 1000,
    train_share: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Share of the ratings that stream.")
    ] = 0.8,
    order: Annotated[
        Order, typer.Option(help="Stream in order of the file or of time.")
    ] = Order.file,
    split_seed: Annotated[int, typer.Option(min=0, help="Seed of the division.")] = 42,
    rank_every: Annotated[
        int, typer.Option(min=1, help="Micro-batches from one look at the ranking to the next.")
    ] = 5,
    animation: Annotated[bool, typer.Option(help="Also write the GIF.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Stream ratings through the engine, and look at held-out ones after each micro-batch.

    Writes curve.csv, curve.svg, curve.png and curve.gif, or for the shop shop.csv, shop.png and
    shop.gif, into OUTPUT.
    """
    if (data is not None) == shop:
        raise InvalidInput("data", data and str(data), "either --data FILE or --shop")
    output.mkdir(parents=True, exist_ok=True)
    options = parse(set_)
    if shop:
        from modeler.painting import painted

        report = painted(output, {**options, **model}, micro_batch, split_seed, animation)
    else:
        assert data is not None
        methods = batch or [Method.als, Method.refit]
        report = _streamed(
            (data, output),
            ({**options, **model}, options),
            (micro_batch, rank_every),
            (train_share, split_seed, order),
            methods,
            animation,
        )
    if as_json:
        typer.echo(json.dumps(report))
    else:
        console = Console()
        for name, value in report.items():
            console.print(f"{name}: {value}", highlight=False, soft_wrap=True)


def _streamed(
    paths: tuple[Path, Path],
    given: tuple[dict[str, Any], dict[str, Any]],
    steps: tuple[int, int],
    division: tuple[float, int, Order],
    methods: list[Method],
    animation: bool,
) -> dict[str, Any]:
    from modeler import films, plots  # the picture library takes a second to load

    data, output = paths
    dataset = load(data)
    (split,) = splits(dataset, Splitting.random, train_share=division[0], seed=division[1])
    scale = (split.rating_min, split.rating_max)
    settings = model_settings(given[0], scale)
    relevant = relevant_rating(*scale)
    if relevant > scale[1]:
        relevant = relevant_rating(*scale, share=7 / 9)
    with bar("streaming") as progress:
        if division[2] is Order.time:
            split = replace(split, train=split.train.by_time())
        found = curve(split, settings, steps[0], steps[1], relevant, progress)
    lines: dict[str, dict[str, float]] = {}
    for method in methods:
        with bar(method.value) as progress:
            learned = learn(method, Task(split.train, settings, steps[0], progress, given[1]))
        evaluation: Evaluation = judge(learned.recommender, split, relevant=relevant)
        lines[method.value] = {name: float(evaluation.figures()[name]) for name in FIGURES}
    _write(output / "curve.csv", found, lines)
    drawn = plots.curves(found.ratings, found.values, lines, FIGURES)
    for ending in ("svg", "png"):
        drawn.savefig(output / f"curve.{ending}")
    if animation:
        films.curves(
            output / "curve.gif", found.ratings, found.values, lines, FIGURES, dataset.name
        )
    return {
        "data": dataset.name,
        "micro_batch": steps[0],
        "ratings_streamed": found.ratings[-1],
        "n_test": len(split.test.ratings),
        "stream": {name: values[-1] for name, values in found.values.items()},
        **lines,
        "written_to": str(output),
    }


def _write(path: Path, found: Curve, lines: dict[str, dict[str, float]]) -> None:
    with path.open("w", newline="") as opened:
        writer = csv.writer(opened)
        batch = [f"{method}_{name}" for method in lines for name in FIGURES]
        writer.writerow(["ratings", *FIGURES, *batch])
        constant = [lines[method][name] for method in lines for name in FIGURES]
        for place, ratings in enumerate(found.ratings):
            values = [found.values[name][place] for name in FIGURES]
            # Between two looks at the ranking the cell is empty.
            cells = ["" if value != value else value for value in [*values, *constant]]
            writer.writerow([ratings, *cells])
