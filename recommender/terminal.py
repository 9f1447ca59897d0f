"""``python -m recommender recommend``: films for somebody new, from a file of ratings alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from recommender.datasets import IndexedRatings, load
from recommender.errors import InvalidInput
from recommender.hybrid import blend, less_known
from recommender.item_knn import Similarity, item_knn
from recommender.model_file import Model, read
from recommender.model_settings import ModelSettings
from recommender.ranking_metrics import top as best
from recommender.rating_head import Codes
from recommender.refit import RefitSettings, refit
from recommender.rows import Floats
from recommender.settings import load as load_settings
from recommender.titles import Match, Titles

_NEIGHBORS = 20  # the best on ml-latest-small of 20, 100 and 300
# What early stopping finds on MovieLens, without the time of looking for it.
_QUICK = {"refit_validation_share": 0.0, "refit_epochs": 24, "refit_ranking_epochs": 8}

Als = Callable[[IndexedRatings, tuple[float, float]], Model]
"""Trains ALS; given by whoever may start Spark: this room may not."""


class Way(StrEnum):
    """How a list is made."""

    knn = "knn"
    als = "als"
    bsgd = "bsgd"
    hybrid = "hybrid"


@dataclass(frozen=True)
class Person:
    """What somebody has said of films.

    Parameters
    ----------
    matches : list of Match
        The films meant.
    ratings : list of float
    """

    matches: list[Match]
    ratings: list[float]


def command(als: Als) -> Callable[..., None]:
    """Make the command ``recommend``.

    Parameters
    ----------
    als : callable
        Trains ALS where that is asked for.
    """

    def recommend(
        movie: Annotated[
            list[str],
            typer.Option(help="A film you know, e.g. 'Iron Man' or 'Iron Man=4.5'; repeatable."),
        ],
        data: Annotated[
            Path | None, typer.Option(help="Ratings: CSV, or a MovieLens zip or folder.")
        ] = None,
        model: Annotated[
            Path | None, typer.Option(help="A model of `python -m modeler fit`, instead of DATA.")
        ] = None,
        method: Annotated[
            Way, typer.Option(help="How to recommend; a model file has its own.")
        ] = Way.bsgd,
        top: Annotated[int, typer.Option(min=1, max=1000, help="Length of the list.")] = 10,
        share: Annotated[
            float,
            typer.Option(min=0, max=1, help="Hybrid: share of the list for less known films."),
        ] = 0.5,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    ) -> None:
        """Recommend films to somebody who likes the given ones.

        Titles are found despite typing errors; a film without a rating has the scale's highest.
        """
        if (data is None) == (model is None):
            raise InvalidInput("data", str(data or model), "either --data or --model")
        if model is not None:
            file = read(model)
            train, scale, titles = file.train, file.scale, dict(file.titles)
        else:
            assert data is not None
            dataset = load(data)
            train, scale = dataset.indexed(), (dataset.rating_min, dataset.rating_max)
            titles = {
                entry["item"]: entry["title"] for entry in dataset.catalogue if entry["title"]
            }
        items = train.item_ids.to_pylist()
        counts = np.bincount(train.items, minlength=len(items))
        # A file without titles is searched by its ids.
        names = {item: titles.get(item, item) for item in items}
        person = _person(
            movie, Titles(names, dict(zip(items, counts.tolist(), strict=True))), scale
        )
        codes = np.array([items.index(match.item) for match in person.matches], np.int32)
        given = np.array(person.ratings, np.float32)

        if model is not None:
            shown = _best(file.model.scores_for(codes, given), codes, top)
        else:
            shown = _list(method, train, scale, codes, given, counts, top, share, als)
        rows = [
            {"item": items[code], "title": names[items[code]], "ratings": int(counts[code])}
            for code in shown
        ]
        if as_json:
            films = [
                {**asdict(match), "rating": rating}
                for match, rating in zip(person.matches, person.ratings, strict=True)
            ]
            typer.echo(json.dumps({"movies": films, "recommended": rows}))
        else:
            _show(person, rows)

    return recommend


def _person(movies: Sequence[str], titles: Titles, scale: tuple[float, float]) -> Person:
    low, high = scale
    found: dict[str, tuple[Match, float]] = {}
    for text in movies:
        title, rating = _title_and_rating(text, high)
        if not low <= rating <= high:
            raise InvalidInput("movie", text, f"a rating from {low:g} to {high:g}")
        match = titles.find(title)[0]
        found[match.item] = (match, rating)
    matches, ratings = zip(*found.values(), strict=True)
    return Person(list(matches), list(ratings))


def _title_and_rating(text: str, highest: float) -> tuple[str, float]:
    """``Iron Man=4.5``; what follows the last ``=`` belongs to the title unless it is a number."""
    title, equals, rating = text.rpartition("=")
    try:
        return (title, float(rating)) if equals and title else (text, highest)
    except ValueError:
        return text, highest


def _list(
    method: Way,
    train: IndexedRatings,
    scale: tuple[float, float],
    codes: Codes,
    given: Floats,
    counts: np.ndarray[Any, np.dtype[np.int64]],
    length: int,
    share: float,
    als: Als,
) -> list[int]:
    if method is Way.als:
        return _best(als(train, scale).scores_for(codes, given), codes, length)
    if method is Way.knn:
        return _best(_knn(train).scores_for(codes, given), codes, length)
    scores = _bsgd(train, scale).scores_for(codes, given)
    if method is Way.bsgd:
        return _best(scores, codes, length)
    known = _best(_knn(train).scores_for(codes, given), codes, length)
    others = _best(less_known(scores, counts), codes, length)
    return blend(known, others, length, share)


def _knn(train: IndexedRatings) -> Model:
    return item_knn(train, Similarity.cosine, _NEIGHBORS)


def _bsgd(train: IndexedRatings, scale: tuple[float, float]) -> Model:
    given = dict(zip(("rating_min", "rating_max"), scale, strict=True))
    settings = load_settings(ModelSettings).model_copy(update=given)
    return refit(train, settings, load_settings(RefitSettings).model_copy(update=_QUICK)).model


def _best(scores: Floats, rated: Codes, length: int) -> list[int]:
    """Codes of the best items that the person has not named."""
    scores = scores.copy()
    scores[rated] = -np.inf
    found = best(scores[None, :], length)[0]
    return [int(code) for code in found if code >= 0]


def _show(person: Person, rows: Sequence[dict[str, Any]]) -> None:
    console = Console()
    for match, rating in zip(person.matches, person.ratings, strict=True):
        console.print(f"{match.title}: {rating:g}", highlight=False, markup=False)
    table = Table()
    table.add_column("", justify="right")
    table.add_column("film")
    table.add_column("ratings", justify="right")
    for place, row in enumerate(rows, start=1):
        table.add_row(str(place), row["title"], f"{row['ratings']:,}")
    console.print(table)
