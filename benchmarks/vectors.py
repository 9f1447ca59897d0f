"""Whether the models that benchmarks serve are like one learned from real ratings.

How soon an exact search may stop depends on the vectors: on how few directions they keep to, and on
how much longer those of popular items are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.accuracy import movielens
from benchmarks.learned_model import learned_from, learned_model
from benchmarks.report import Json, show
from benchmarks.serving import Items, Numbers, ServedModel, Size, drawn_model
from recommender.datasets import load
from recommender.fold_in import fold_in, gram
from recommender.generate import RATING_MAX, RATING_MIN
from recommender.ranking import newcomer_weight, popularity_share, rating_weight
from recommender.ranking_head import weights
from recommender.rows import Floats

_MICRO_BATCH = 1000  # for a file of a hundred thousand
_N = 10
_SEED = 9


def vectors(
    items: Items = 45_000,
    judged: Annotated[int, typer.Option(min=1, help="People whose searches are looked at.")] = 500,
    as_json: Json = False,
) -> None:
    """Directions and lengths of the items' vectors, and what a search has to look at."""
    size = Size(items)
    models = {"drawn": drawn_model(size), "learned": learned_model(size)}
    path = movielens()
    if path is not None:
        models[path.stem] = real = _of_file(path)
        # Generated, but no more of it than there is in the file.
        alike = Size(len(real.items), len(real.users))
        models[f"learned, as large as {path.stem}"] = learned_model(
            alike, real.rating_count, alike.users, _MICRO_BATCH
        )
    show("vectors", {name: _figures(model, judged) for name, model in models.items()}, as_json)


def _of_file(path: Path) -> ServedModel:
    ratings = load(path).indexed()

    def further(_: int) -> tuple[Numbers, Numbers, Floats]:
        raise NotImplementedError("a file ends")

    size = Size(len(ratings.item_ids), len(ratings.user_ids))
    return learned_from(ratings, size, size.users, further, _MICRO_BATCH)


def _figures(model: ServedModel, judged: int) -> dict[str, float]:
    items = model.items
    looked_at = _looked_at(model, judged)
    return {
        "items": len(items),
        "ratings_of_the_median_item": float(np.median(items.n)),
        **_shape("ranking", items.ranking),
        **_shape("rating", items.factors),
        "looked_at_median": float(np.median(looked_at)),
        "looked_at_p90": float(np.percentile(looked_at, 90)),
        "looked_at_median_share": float(np.median(looked_at)) / len(items),
    }


def _shape(head: str, vectors: Floats) -> dict[str, float]:
    """How many directions they keep to, and how long they are.

    Directions are counted by the participation ratio ``(Σ λ)² / Σ λ²`` of the eigenvalues of their
    Gram matrix: k where all k are as strong, 1 where there is one.
    """
    strengths = np.linalg.eigvalsh(gram(vectors).astype(np.float64))
    lengths = np.linalg.norm(vectors, axis=1)
    median, high = np.percentile(lengths, [50, 99]) / lengths.max()
    return {
        f"{head}_directions": float(strengths.sum() ** 2 / (strengths**2).sum()),
        f"{head}_strongest_share": float(strengths[-1] / strengths.sum()),
        f"{head}_median_length_over_longest": float(median),
        f"{head}_p99_length_over_longest": float(high),
    }


def _looked_at(model: ServedModel, judged: int) -> list[int]:
    """Items that could, by the lengths of their vectors, come up to a person's tenth best."""
    items, users = model.items, model.users
    heard = np.flatnonzero(items.n > 0)
    products = gram(items.ranking[heard])
    weight = rating_weight(RATING_MIN, RATING_MAX)
    lengths = [np.linalg.norm(some, axis=1) for some in (items.ranking, items.factors)]
    found = []
    drawn = np.random.default_rng(_SEED)
    for user in drawn.choice(len(users), min(judged, len(users)), replace=False).tolist():
        rated, ratings = model.rated.of(user)
        vector = fold_in(
            items.ranking[rated], weights(ratings, RATING_MIN, RATING_MAX), products, len(heard)
        )
        vector /= max(float((items.ranking @ vector).max()), 1e-9)
        taste = np.float32(weight) * users.factors[user]
        known = np.float32(weight) * items.bias
        known += newcomer_weight(int(users.n[user])) * popularity_share(items.n)
        scores = items.ranking @ vector + items.factors @ taste + known
        scores[rated] = -np.inf
        tenth = np.partition(scores, -_N)[-_N]
        bound = lengths[0] * np.linalg.norm(vector) + lengths[1] * np.linalg.norm(taste) + known
        found.append(int(np.count_nonzero(bound >= tenth)))
    return found
