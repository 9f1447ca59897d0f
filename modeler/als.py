"""Spark MLlib's alternating least squares (ALS), explicit and implicit: the batch baseline.

Ids never reach Spark: MLlib's ALS takes whole numbers only, and gets the codes that every method
here works with; text that looks like a number is never cast to one.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark import StorageLevel
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession

from modeler.als_settings import AlsSettings, ImplicitAlsSettings
from recommender.datasets import IndexedRatings
from recommender.factor_model import ColdStart, FactorModel, Factors
from recommender.rows import Floats


def explicit(
    spark: SparkSession, train: IndexedRatings, settings: AlsSettings, seed: int
) -> FactorModel:
    """Learn ratings as numbers; see `train_als` for the parameters."""
    return train_als(
        spark,
        train,
        settings.als_rank,
        settings.als_max_iter,
        settings.als_reg_param,
        None,
        seed,
        settings.als_cold_start_strategy,
    )


def implicit(
    spark: SparkSession, train: IndexedRatings, settings: ImplicitAlsSettings, seed: int
) -> FactorModel:
    """Learn preferences; see `train_als` for the parameters."""
    return train_als(
        spark,
        train,
        settings.als_implicit_rank,
        settings.als_implicit_max_iter,
        settings.als_implicit_reg_param,
        settings.als_alpha,
        seed,
    )


def train_als(
    spark: SparkSession,
    train: IndexedRatings,
    rank: int,
    max_iter: int,
    reg_param: float,
    alpha: float | None,
    seed: int,
    cold_start_strategy: ColdStart = "drop",
) -> FactorModel:
    """Learn factors.

    Parameters
    ----------
    spark : SparkSession
    train : IndexedRatings
    rank, max_iter, reg_param
        MLlib's parameters.
    alpha : float or None
        MLlib's parameter for implicit preferences; None for explicit ratings.
    seed : int
        Of the initial factors; MLlib's result depends on the number of blocks too.
    cold_start_strategy : {'drop', 'nan'}
        MLlib's parameter. Its factors do not depend on it, its predictions are not asked for:
        `FactorModel` does by it as MLlib would.
    """
    ratings = frame(spark, train)
    # Read for the user blocks, for the item blocks and for the counts: kept, on disk where memory
    # lacks, instead of being sent from Python each time.
    ratings.persist(StorageLevel.MEMORY_AND_DISK)
    # One block of users and of items for each core: MLlib's ten make five rounds of small tasks on
    # a laptop, and too few on a large cluster.
    blocks = spark.sparkContext.defaultParallelism
    estimator = ALS(
        rank=rank,
        maxIter=max_iter,
        regParam=reg_param,
        implicitPrefs=alpha is not None,
        alpha=1.0 if alpha is None else alpha,
        numUserBlocks=blocks,
        numItemBlocks=blocks,
        userCol="user",
        itemCol="item",
        ratingCol="rating",
        seed=seed & 0x7FFFFFFF,
        coldStartStrategy=cold_start_strategy,
        intermediateStorageLevel="MEMORY_AND_DISK",
        finalStorageLevel="MEMORY_ONLY",
    )
    try:
        model = estimator.fit(ratings)
        return FactorModel(
            Factors(
                users=_matrix(model.userFactors, len(train.user_ids), rank),
                items=_matrix(model.itemFactors, len(train.item_ids), rank),
                regularization=reg_param,
                alpha=alpha,
            ),
            train,
            cold_start_strategy,
        )
    finally:
        ratings.unpersist()


def frame(spark: SparkSession, ratings: IndexedRatings) -> DataFrame:
    """Ratings as MLlib takes them: codes and ratings, in as many partitions as there are cores."""
    columns = {"user": ratings.users, "item": ratings.items, "rating": ratings.ratings}
    made: DataFrame = spark.createDataFrame(pd.DataFrame(columns))
    return made.repartition(spark.sparkContext.defaultParallelism)


def _matrix(factors: DataFrame, length: int, rank: int) -> Floats:
    """Factors by code; zeros for codes without training ratings."""
    found = factors.toPandas()
    matrix = np.zeros((length, rank), np.float32)
    if len(found):
        matrix[found["id"].to_numpy()] = np.stack(list(found["features"]))
    return matrix
