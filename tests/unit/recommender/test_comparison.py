"""Methods side by side: the pooled figures, folds with different codes, differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recommender.baselines import Biases, Popularity
from recommender.comparison import compare
from recommender.evaluation import Evaluation, evaluate
from recommender.generate import generate
from recommender.splits import Split, k_fold, random_split

DATA = generate(80, 60, 1_100, seed=4)


def judged(split: Split) -> dict[str, list[Evaluation]]:
    return {
        "popularity": [evaluate(Popularity(split.train), split)],
        "biases": [evaluate(Biases(split.train), split)],
    }


def test_of_one_split_the_figures_are_the_evaluations_own() -> None:
    split = random_split(DATA)
    found = judged(split)

    compared = compare(found, [split], baseline="popularity", draws=50)

    for name, (evaluation,) in found.items():
        for figure, value in evaluation.figures().items():
            assert compared[name].figures[figure] == pytest.approx(value, nan_ok=True), figure


def test_warm_and_cold_users_are_ranked_apart() -> None:
    split = random_split(DATA)
    (evaluation,) = judged(split)["biases"]
    warm = evaluation.ranking.users < split.n_train_users

    compared = compare({"biases": [evaluation]}, [split], draws=50)["biases"]

    assert compared.figures["ndcg_at_10_warm"] == pytest.approx(
        evaluation.ranking.ndcg[warm].mean()
    )


def test_differences_are_to_the_baseline() -> None:
    split = random_split(DATA)

    compared = compare(judged(split), [split], baseline="popularity", draws=200)

    assert compared["popularity"].differences == {}
    rmse = compared["biases"].differences["rmse"]
    assert rmse.value == pytest.approx(
        compared["biases"].figures["rmse"] - compared["popularity"].figures["rmse"]
    )
    assert rmse.low < rmse.high < 0  # biases are surely better than one mean
    around = compared["biases"].intervals["rmse"]
    assert around.low < compared["biases"].figures["rmse"] < around.high


def test_folds_are_pooled_by_user_though_their_codes_differ() -> None:
    splits = k_fold(DATA, 4, seed=2)
    evaluations = [evaluate(Biases(split.train), split) for split in splits]

    compared = compare({"biases": evaluations}, splits, draws=50)["biases"]

    errors = np.concatenate([one.accuracy.errors for one in evaluations])
    assert len(errors) == len(DATA) == compared.figures["n_test"]
    assert compared.figures["rmse"] == pytest.approx(math.sqrt(np.square(errors).mean()))
    assert compared.figures["coverage_at_10"] == pytest.approx(
        np.mean([one.ranking.coverage for one in evaluations])
    )


def test_one_user_alone_has_no_spread() -> None:
    alone = DATA.take(np.flatnonzero(DATA.indexed().users == 0))
    split = random_split(alone, 0.5, seed=1)

    compared = compare({"biases": [evaluate(Biases(split.train), split)]}, [split], draws=20)[
        "biases"
    ]

    around = compared.intervals["rmse"]
    assert around.low == pytest.approx(around.high)
