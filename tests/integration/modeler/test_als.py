"""Spark's ALS against Spark's own evaluator, with ids that are text."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

from modeler.als import frame, train_als
from recommender.evaluation import evaluate
from recommender.generate import generate
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
