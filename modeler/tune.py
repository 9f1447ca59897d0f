"""``python -m modeler tune``: search settings by cross-validation, in parallel on Spark."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from modeler.method_options import given_settings, known
from modeler.methods import Method
from modeler.model_options import model_options, model_settings
from modeler.search_space import GRIDS, Ranges, Settings, grid, parse_values
from modeler.showing import bar, number, without_nan
from modeler.trials import Result, digest, noted, run
from recommender.datasets import load
from recommender.errors import InvalidInput
from recommender.settings import PREFIX, SETTINGS_FILE
from recommender.settings import load as load_settings
from recommender.splits import k_fold, training_rows

LOWER_IS_BETTER = ("rmse", "mae")


@model_options
def tune(
    data: Annotated[Path, typer.Option(help="Ratings: CSV, or a MovieLens zip or folder.")],
    model: dict[str, Any],
    method: Annotated[Method, typer.Option(help="Whose settings to search.")] = Method.stream,
    grid_: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            metavar="NAME=V1,V2",
            help="Values to combine; repeatable.",
            show_default="a small grid for each method",
        ),
    ] = None,
    between: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=LOW:HIGH[:log]", help="Random search: ranges; repeatable."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Settings that a random search draws.")] = 20,
    folds: Annotated[int, typer.Option(min=2, max=100, help="Of the cross-validation.")] = 3,
    metric: Annotated[str, typer.Option(help="Figure of `evaluate` to be best in.")] = "rmse_warm",
    train_share: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=0.99,
            help="Search in this share of DATA only: the training rows of `evaluate` with the same "
            "share and split seed, whose test rows then judge what no setting was chosen by.",
            show_default="all of DATA",
        ),
    ] = None,
    split_seed: Annotated[int, typer.Option(min=0, help="Seed of that share.")] = 42,
    search_seed: Annotated[int, typer.Option(min=0, help="Seed of folds and draws.")] = 42,
    micro_batch: Annotated[int, typer.Option(min=1, help="Ratings in a micro-batch.")] = 1000,
    parallel: Annotated[
        int, typer.Option(min=0, help="Trials at a time; 0: as many as Spark has cores.")
    ] = 0,
    results: Annotated[
        Path, typer.Option(help="File of results: a search that was stopped goes on from it.")
    ] = Path("tuning.jsonl"),
    best: Annotated[Path, typer.Option(help="Settings file to write the best to.")] = Path(
        "tuned.env"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Try settings of METHOD on DATA; write the best where `fit` and `stream` read settings."""
    if grid_ and between:
        raise InvalidInput("--between", between[0], "either --grid or --between")
    candidates = _candidates(method, grid_ or [], between or [], trials, search_seed)
    dataset = load(data)
    if train_share is not None:
        dataset = training_rows(dataset, train_share, split_seed)
    base = model_settings(model, (dataset.rating_min, dataset.rating_max))
    # What trials do not set comes from the environment, and results depend on it too.
    unset = [load_settings(kind).model_dump_json() for kind in dict.fromkeys(known().values())]
    search = digest(
        dataset, method.value, folds, search_seed, micro_batch, base.model_dump_json(), unset
    )
    found = noted(results, search)
    known_pairs = {(_key(one.settings), one.fold) for one in found}
    missing = [
        (settings, fold)
        for settings in candidates
        for fold in range(folds)
        if (_key(settings), fold) not in known_pairs
    ]
    if missing:
        from modeler.batch import session

        spark = session()
        with bar(f"{method.value}, {len(candidates)} settings") as progress:
            done = len(found)

            def told(result: Result) -> None:
                nonlocal done
                done += 1
                shown = f"{metric} {number(result.figures.get(metric))}"
                progress(done / (len(found) + len(missing)), shown)

            found += run(
                spark,
                method,
                missing,
                k_fold(dataset, folds, search_seed),
                base,
                micro_batch,
                search,
                results,
                parallel or spark.sparkContext.defaultParallelism,
                told,
            )
    ranked = _ranked(candidates, found, metric)
    write_settings(best, ranked[0]["settings"], f"{metric} {ranked[0][metric]:.5f} on {data.name}")
    report = {
        "method": method.value,
        "metric": metric,
        "folds": folds,
        "tried": len(missing),
        "best": ranked[0]["settings"],
        "settings_file": str(best),
        "results": ranked,
    }
    if as_json:
        typer.echo(json.dumps(without_nan(report), allow_nan=False))
        return
    console = Console()
    console.print(_table(ranked, metric, method))
    console.print(
        f"{best}: the best settings. {SETTINGS_FILE}={best} lets every command read them.",
        highlight=False,
        soft_wrap=True,
    )


def write_settings(path: Path, settings: Settings, about: str) -> None:
    """Write a settings file; it is there whole or not at all."""
    lines = [f"# python -m modeler tune: {about}"]
    lines += [f"{PREFIX}{name.upper()}={value}" for name, value in settings.items()]
    fresh = path.with_name(path.name + ".new")
    fresh.write_text("\n".join(lines) + "\n")
    fresh.replace(path)


def _candidates(
    method: Method, values: list[str], ranges: list[str], trials: int, seed: int
) -> list[Settings]:
    """The settings to try, each checked before anything runs."""
    if ranges:
        candidates = Ranges(ranges).draw(trials, seed)
    elif values:
        candidates = grid(parse_values(values))
    elif method in GRIDS:
        candidates = grid(GRIDS[method])
    else:
        raise InvalidInput("--method", method.value, f"one of {', '.join(GRIDS)}")
    for settings in candidates:
        for name in settings:
            given_settings(known()[name], {name: settings[name]})
    return list({_key(one): one for one in candidates}.values())


def _ranked(candidates: list[Settings], found: list[Result], metric: str) -> list[dict[str, Any]]:
    """Each setting with its mean over the folds, the best first."""
    rows = []
    for settings in candidates:
        own = [one for one in found if _key(one.settings) == _key(settings)]
        if metric not in own[0].figures:
            raise InvalidInput("--metric", metric, f"one of {', '.join(own[0].figures)}")
        values = [
            math.nan if one.figures[metric] is None else float(one.figures[metric]) for one in own
        ]
        rows.append(
            {
                "settings": settings,
                metric: float(np.mean(values)),
                "deviation": float(np.std(values)),
                "seconds": float(np.mean([one.seconds for one in own])),
            }
        )
    sign = 1 if metric.startswith(LOWER_IS_BETTER) else -1
    return sorted(rows, key=lambda row: (math.isnan(row[metric]), sign * row[metric]))


def _key(settings: Settings) -> str:
    return json.dumps(settings, sort_keys=True)


def _table(ranked: list[dict[str, Any]], metric: str, method: Method) -> Table:
    table = Table(title=f"{method.value}: {len(ranked)} settings, the best first")
    names = list(ranked[0]["settings"])
    for name in [*names, metric, "± (folds)", "seconds"]:
        table.add_column(name, justify="right")
    for row in ranked:
        cells = [f"{row['settings'][name]:g}" for name in names]
        spread = f"{row['deviation']:.4f}"
        table.add_row(*cells, number(row[metric]), spread, f"{row['seconds']:.1f}")
    return table
