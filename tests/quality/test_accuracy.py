"""Quality on ml-latest-small, 80/20 as the project states it: `default_rng(42).random(n) < 0.8`."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.race import CONTESTANTS
from recommender.baselines import Biases, Popularity
from recommender.datasets import Dataset
from recommender.ease import ease
from recommender.evaluation import evaluate
from recommender.item_knn import Similarity, item_knn
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.race import Race, RaceSettings, regret
from recommender.refit import RefitSettings, refit
from recommender.splits import Split, random_split


@pytest.fixture(scope="module")
def split(movielens: Dataset) -> Split:
    return random_split(movielens, 0.8, seed=42)


def popularity_ndcg(dataset: Dataset) -> float:
    """NDCG@10 of popularity from the file's columns, with nothing of the evaluation's code."""
    chosen = np.random.default_rng(42).random(len(dataset)) < 0.8
    rows = list(
        zip(
            dataset.users.to_pylist(),
            dataset.items.to_pylist(),
            dataset.ratings.tolist(),
            chosen.tolist(),
            strict=True,
        )
    )
    counts: dict[str, int] = {}
    seen: dict[str, set[str]] = {}
    liked: dict[str, set[str]] = {}
    for user, item, rating, train in rows:
        if train:
            counts[item] = counts.get(item, 0) + 1
            seen.setdefault(user, set()).add(item)
        elif rating >= 4:
            liked.setdefault(user, set()).add(item)
    popular = sorted(counts, key=lambda item: -counts[item])  # stable: first seen first
    total = 0.0
    for user, wanted in liked.items():
        best = [item for item in popular if item not in seen.get(user, ())][:10]
        gain = sum(1 / math.log2(p + 2) for p, item in enumerate(best) if item in wanted)
        total += gain / sum(1 / math.log2(p + 2) for p in range(min(10, len(wanted))))
    return total / len(liked)


def test_popularity(movielens: Dataset, split: Split) -> None:
    figures = evaluate(Popularity(split.train), split).figures()

    assert figures["ndcg_at_10"] == pytest.approx(popularity_ndcg(movielens), abs=1e-12)
    # The figure is 0.152; the definition's average (users with a relevant item) is 0.155.
    assert 0.150 < figures["ndcg_at_10"] < 0.158
    assert figures["n_test"] == 20_124


def test_biases(split: Split) -> None:
    # LensKit and Surprise report 0.87 to 0.88 for baseline predictors on this data set.
    assert 0.86 < evaluate(Biases(split.train), split).figures()["rmse"] < 0.885


def test_one_streaming_pass(split: Split) -> None:
    model = MemoryModel(split.user_ids, split.item_ids, ModelSettings())
    train = split.train
    for start in range(0, len(train.ratings), 1_000):
        rows = slice(start, start + 1_000)
        model.learn(train.users[rows], train.items[rows], train.ratings[rows])

    figures = evaluate(model, split).figures()

    assert figures["rmse_warm"] <= 0.880
    assert figures["ndcg_at_10"] > evaluate(Popularity(train), split).figures()["ndcg_at_10"]


def test_refit(split: Split) -> None:
    figures = evaluate(refit(split.train, ModelSettings(), RefitSettings()).model, split).figures()

    # Spark's ALS, best of a grid: 0.882.
    assert figures["rmse_warm"] <= 0.846
    assert figures["ndcg_at_10"] >= 0.295


def test_linear_methods(split: Split) -> None:
    # The issue states 0.313 for EASE on this split.
    found = evaluate(ease(split.train, 100.0), split).figures()["ndcg_at_10"]
    assert found == pytest.approx(0.313, abs=0.002)
    # Deshpande and Karypis's item KNN lies between popularity and EASE.
    knn = evaluate(item_knn(split.train, Similarity.cosine, 20), split).figures()
    assert 0.155 < knn["ndcg_at_10"] < found
    assert knn["rmse_warm"] < evaluate(Biases(split.train), split).figures()["rmse_warm"]


def test_a_race_of_eight(movielens: Dataset) -> None:
    """Two hopeless ones are out within 20,000 ratings, the leader is near the best in hindsight."""
    plain = ModelSettings(ranking_rank=0)
    ratings = movielens.take(movielens.by_time()).indexed()

    def models() -> dict[str, MemoryModel]:
        return {
            name: MemoryModel(ratings.user_ids, ratings.item_ids, plain.model_copy(update=changed))
            for name, changed in CONTESTANTS.items()
        }

    race = Race(models(), RaceSettings())
    hindsight = models()
    losses: dict[str, list[float]] = {name: [] for name in hindsight}
    for start in range(0, len(ratings.ratings), 500):
        rows = slice(start, start + 500)
        batch = (ratings.users[rows], ratings.items[rows], ratings.ratings[rows])
        race.learn(*batch)
        for name, model in hindsight.items():
            losses[name].append(model.learn(*batch).squared)

    out = {one.name: one.after for one in race.pruned}
    for name in CONTESTANTS:
        if name.startswith("hopeless"):
            assert out[name] <= 20_000
    assert race.leader in hindsight
    assert regret(losses, race.leader) <= 0.01
