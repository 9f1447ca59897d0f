"""``python -m modeler evaluate``: methods side by side, judged by ratings they have not learned."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import typer
from rich.console import Console
from rich.table import Table

from modeler.judgement import Judgement
from modeler.method_options import Order, SetOption, parse
from modeler.methods import Learned, Method, Task, learn
from modeler.model_options import model_options, model_settings
from modeler.showing import bar, number, without_nan
from recommender.comparison import Compared, compare
from recommender.datasets import Dataset, IndexedRatings, load
from recommender.errors import InvalidInput
from recommender.evaluation import Evaluation, relevant_rating
from recommender.evaluation import evaluate as judge
from recommender.extended import Extended
from recommender.model_file import read
from recommender.splits import Split, Splitting, splits


@model_options
def evaluate(
    model: dict[str, Any],
    data: Annotated[
        Path | None,
        typer.Option(help="Ratings to divide: CSV, or a MovieLens zip or folder."),
    ] = None,
    train: Annotated[
        Path | None, typer.Option(help="Ratings to learn, where they are divided already.")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="Ratings to be judged by.")] = None,
    split: Annotated[Splitting, typer.Option(help="How DATA are divided.")] = Splitting.random,
    train_share: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Share of DATA to learn from.")
    ] = 0.8,
    folds: Annotated[int, typer.Option(min=2, max=100, help="Folds of k-fold.")] = 5,
    split_seed: Annotated[int, typer.Option(min=0, help="Seed of the division.")] = 42,
    method: Annotated[
        list[Method] | None, typer.Option(help="How to learn; several go side by side.")
    ] = None,
    model_file: Annotated[
        list[Path] | None,
        typer.Option(help="A model of `fit`, judged by TEST beside the methods."),
    ] = None,
    set_: SetOption = None,
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
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Method (or model file's name) that differences are taken to.",
            show_default="the first",
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option(min=10, max=100_000, help="Draws of the bootstrap over users.")
    ] = 1000,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")] = 0.95,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    report_to: Annotated[
        Path | None,
        typer.Option("--report", help="Folder for an HTML page with plots (PNG and SVG)."),
    ] = None,
) -> None:
    """Judge methods: errors of predicted ratings and quality of top lists.

    Give either DATA, which are divided as SPLIT says, or TRAIN and TEST. Ranking is over all items
    that are not in the user's training rows, averaged over users with a relevant test item.
    """
    options = parse(set_)
    divided, about = _divided(
        (data, train, test), split, train_share, folds, split_seed, model_file or []
    )
    methods = list(dict.fromkeys(method or ([] if model_file else [Method.stream])))
    settings = model_settings({**options, **model}, (divided[0].rating_min, divided[0].rating_max))
    relevant = relevant_rating(settings.rating_min, settings.rating_max, relevant_share)

    found: dict[str, list[Evaluation]] = {}
    told: dict[str, dict[str, Any]] = {}
    for one in methods:
        evaluations, seconds = [], 0.0
        for number_, part in enumerate(divided, start=1):
            title = one.value if len(divided) == 1 else f"{one.value}, fold {number_}"
            with bar(title) as progress:
                started = time.perf_counter()
                learned = learn(
                    one,
                    Task(
                        part.train.by_time() if order is Order.time else part.train,
                        settings,
                        micro_batch,
                        progress,
                        options,
                    ),
                )
                seconds += time.perf_counter() - started
            evaluations.append(judge(learned.recommender, part, k=k, relevant=relevant))
        found[one.value] = evaluations
        told[one.value] = _told(learned, seconds)
    for path in model_file or ():
        if path.stem in found:
            raise InvalidInput("--model-file", str(path), "a name that no other method here has")
        evaluations, told[path.stem] = _judge_file(path, divided, k, relevant)
        found[path.stem] = evaluations

    names = list(found)
    baseline = names[0] if baseline is None else baseline
    if baseline not in names:
        raise InvalidInput("--baseline", baseline, f"one of {', '.join(names)}")
    judgement = Judgement(
        data=about["data"],
        split=about,
        n_train=sum(len(part.train.ratings) for part in divided),
        n_test=sum(len(part.test.ratings) for part in divided),
        k=k,
        relevant_rating=relevant,
        baseline=baseline,
        confidence=confidence,
        draws=draws,
        methods=compare(
            found, divided, baseline=baseline, draws=draws, confidence=confidence, seed=split_seed
        ),
        told=told,
    )
    if report_to is not None:
        from modeler.report import report

        page = report(judgement, report_to)
        Console(stderr=True).print(f"report: {page}", highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps(without_nan(judgement.as_dict()), allow_nan=False))
    else:
        Console().print(_table(judgement))


def _divided(
    paths: tuple[Path | None, Path | None, Path | None],
    split: Splitting,
    train_share: float,
    folds: int,
    seed: int,
    model_files: list[Path],
) -> tuple[list[Split], dict[str, Any]]:
    data, train, test = paths
    if data is not None and train is None and test is None:
        about: dict[str, Any] = {"data": data.name, "split": split.value, "seed": seed}
        if split is Splitting.k_fold:
            about["folds"] = folds
        elif split is not Splitting.leave_one_out:
            about["train_share"] = train_share
        whole = load(data)
        return splits(whole, split, train_share=train_share, folds=folds, seed=seed), about
    if data is None and train is not None and test is not None:
        return [Split.of(load(train), load(test))], {
            "data": f"{train.name}, {test.name}",
            "split": "given",
        }
    if model_files and data is None and test is not None:
        # A model file has its training ratings with it; warm is what the first one knows.
        learned = read(model_files[0]).dataset()
        about = {"data": f"{learned.name}, {test.name}", "split": "given"}
        return [Split.of(learned, load(test))], about
    raise InvalidInput(
        "data",
        ", ".join(str(path) for path in paths if path is not None) or "nothing",
        "either --data, or --train and --test (with --model-file alone, --test is enough)",
    )


def _told(learned: Learned, seconds: float) -> dict[str, Any]:
    return {"seconds_learning": seconds, "settings": learned.settings, **learned.report}


def _judge_file(
    path: Path, divided: list[Split], k: int, relevant: float
) -> tuple[list[Evaluation], dict[str, Any]]:
    """Judge a model of `fit` by the test part of the only split."""
    if len(divided) > 1:
        raise InvalidInput("--model-file", str(path), "one split: it has been trained already")
    file = read(path)
    tested = divided[0].test
    part = Split.of(file.dataset(), _as_dataset(tested, divided[0]))
    evaluation = judge(Extended(file.model, file.train, part), part, k=k, relevant=relevant)
    # The other methods' split has codes of its own for the same users and pairs.
    return [_recoded(evaluation, part, divided[0])], {
        "method": file.method,
        "trained_on": file.data,
        "settings": dict(file.settings),
        **file.report,
    }


def _as_dataset(ratings: IndexedRatings, split: Split) -> Dataset:
    return Dataset(
        name="test",
        users=pa.DictionaryArray.from_arrays(pa.array(ratings.users), ratings.user_ids),
        items=pa.DictionaryArray.from_arrays(pa.array(ratings.items), ratings.item_ids),
        ratings=ratings.ratings,
        timestamps=ratings.timestamps,
        rating_min=split.rating_min,
        rating_max=split.rating_max,
    )


def _recoded(evaluation: Evaluation, own: Split, other: Split) -> Evaluation:
    """The same with the other split's user codes, so that users can be compared in pairs."""
    code = pc.index_in(own.user_ids, other.user_ids).to_numpy(zero_copy_only=False)
    code = np.nan_to_num(code, nan=-1).astype(np.int32)
    return dataclasses.replace(
        evaluation,
        accuracy=dataclasses.replace(evaluation.accuracy, users=code[evaluation.accuracy.users]),
        ranking=dataclasses.replace(evaluation.ranking, users=code[evaluation.ranking.users]),
    )


def _table(judgement: Judgement) -> Table:
    """One column a method; the intervals themselves are in the JSON and the report."""
    table = Table(
        title=f"{judgement.data}: {judgement.n_train:,} ratings learned, "
        f"{judgement.n_test:,} judged by ({judgement.split['split']})",
        caption=f"±: half the {judgement.confidence:.0%} interval, bootstrap over users; "
        f"* surely other than {judgement.baseline}",
    )
    table.add_column("figure", no_wrap=True)
    for name in judgement.methods:
        table.add_column(name, justify="right")
    figures = dict.fromkeys(
        figure for compared in judgement.methods.values() for figure in compared.figures
    )
    for figure in figures:
        table.add_row(figure, *(_cell(one, figure) for one in judgement.methods.values()))
    seconds = [judgement.told[name].get("seconds_learning") for name in judgement.methods]
    table.add_row("seconds_learning", *("–" if one is None else f"{one:.1f}" for one in seconds))
    return table


def _cell(compared: Compared, figure: str) -> str:
    around, difference = compared.intervals.get(figure), compared.differences.get(figure)
    cell = number(compared.figures.get(figure))
    if around is not None and not math.isnan(around.low):
        cell += f" ±{(around.high - around.low) / 2:.3f}"
    sure = difference is not None and difference.low * difference.high > 0
    return cell + ("*" if sure else "")
