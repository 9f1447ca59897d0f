"""Spark's ALS against Spark's own evaluator, with ids that are text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

from modeler.als import frame, train_als
from modeler.refit_baseline import als
from recommender.evaluation import evaluate
from recommender.generate import generate
from recommender.model_settings import ModelSettings
from recommender.refit import RefitSettings
from recommender.splits import Split, random_split


@pytest.fixture(scope="module")
def split() -> Split:
    return random_split(generate(120, 90, 2_500, seed=6), 0.8, seed=1)


def test_errors_are_those_of_sparks_evaluator(spark: SparkSession, split: Split) -> None:
    model = train_als(spark, split.train, 5, 4, 0.1, None, seed=3)

    blocks = spark.sparkContext.defaultParallelism
    theirs = ALS(
        rank=5,
        maxIter=4,
        regParam=0.1,
        seed=3,
        numUserBlocks=blocks,
        numItemBlocks=blocks,
        userCol="user",
        itemCol="item",
        ratingCol="rating",
        coldStartStrategy="drop",
    ).fit(frame(spark, split.train))
    predicted = theirs.transform(frame(spark, split.test))
    evaluator = RegressionEvaluator(labelCol="rating", predictionCol="prediction")
    users = np.array([row.user for row in predicted.select("user").collect()])

    figures = evaluate(model, split).figures()

    assert len(users) == figures["n_test"] - figures["n_cold"]  # "drop" leaves the warm pairs
    silent = train_als(spark, split.train, 5, 4, 0.1, None, seed=3, cold_start_strategy="nan")
    asked = theirs.setColdStartStrategy("nan").transform(frame(spark, split.test)).collect()
    answers = silent.predict(
        *(np.array([row[side] for row in asked], np.int32) for side in ("user", "item"))
    )
    assert figures["n_cold"] > 0
    assert np.isnan(answers).tolist() == [np.isnan(row.prediction) for row in asked]

    # Ours are clipped to the ratings seen.
    clipped = predicted.selectExpr("rating", "greatest(0.5, least(5.0, prediction)) AS prediction")
    assert figures["rmse_warm"] == pytest.approx(evaluator.evaluate(clipped), abs=1e-4)


def test_implicit_preferences_rank_better_than_explicit_ratings(
    spark: SparkSession, split: Split
) -> None:
    explicit = train_als(spark, split.train, 5, 4, 0.1, None, seed=3)
    implicit = train_als(spark, split.train, 5, 4, 0.1, 1.0, seed=3)

    assert (
        evaluate(implicit, split).figures()["ndcg_at_10"]
        > evaluate(explicit, split).figures()["ndcg_at_10"]
    )


def test_folding_in_a_known_user_gives_that_users_scores(spark: SparkSession, split: Split) -> None:
    # ALS solves items, then users, from the same least squares; it has nearly converged by then.
    model = train_als(spark, split.train, 5, 15, 0.1, None, seed=3)
    own = split.train.users == 7

    again = model.scores_for(split.train.items[own], split.train.ratings[own])

    first = model.scores(np.array([7], np.int32))[0]
    rated = np.isfinite(first)
    assert np.corrcoef(first[rated], again[rated])[0, 1] > 0.98


def test_the_baseline_of_a_refit_is_measured_on_what_the_refit_holds_out(
    spark: SparkSession, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECOMMENDER_ALS_RANK", "5")
    monkeypatch.setenv("RECOMMENDER_ALS_MAX_ITER", "4")
    model, settings = ModelSettings(seed=3), RefitSettings(refit_validation_share=0.25)
    found = als(split.train, model, settings)

    # drawn as the refit draws: a share, by (seed, 2)
    out = np.random.default_rng((3, 2)).random(len(split.train.ratings)) < 0.25
    train = {
        name: getattr(split.train, name)[~out]
        for name in ("users", "items", "ratings", "timestamps")
    }
    theirs = train_als(spark, replace(split.train, **train), 5, 4, 0.15, None, seed=3)
    predicted = theirs.predict(split.train.users[out], split.train.items[out])
    errors = predicted.astype(float) - split.train.ratings[out]
    assert found["als_rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)), abs=1e-6)
    assert found["als_mae"] == pytest.approx(np.mean(np.abs(errors)), abs=1e-6)
    assert als(split.train, model, RefitSettings(refit_validation_share=0)) == {}
