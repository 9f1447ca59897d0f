"""The way of a refit: in this process, or by tasks of Spark's. The result is the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from modeler.settings import SparkSettings
from recommender.history import Ratings
from recommender.refit import RefitSettings, Way, in_threads
from recommender.refit_blocks import Learner
from recommender.settings import load

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

WayName = Literal["process", "spark"]


class RefitWaySettings(RefitSettings):
    """Settings of a refit, and of the way it takes."""

    refit_way: Literal["auto", "process", "spark"] = Field(
        "auto",
        description="Where a refit learns: in one `process`, or by tasks on `spark`; `auto`: on "
        "Spark where RECOMMENDER_SPARK_MASTER is a cluster and the ratings are many. The result is "
        "the same.",
    )
    refit_spark_ratings: int = Field(
        2_000_000, ge=1, description="So many ratings are many, for `auto`."
    )


def chosen(settings: RefitWaySettings, ratings: int) -> WayName:
    """The way in which so many ratings are learned.

    On one machine its own cores do it sooner without Spark, however many ratings there are.
    """
    if settings.refit_way != "auto":
        return settings.refit_way
    cluster = not _on_this_machine(load(SparkSettings).spark_master)
    return "spark" if cluster and ratings >= settings.refit_spark_ratings else "process"


def way(name: WayName, spark: Callable[[], SparkSession]) -> Way:
    """The way of that name.

    Parameters
    ----------
    name : {'process', 'spark'}
    spark : callable
        Gives the session, where there is need of one.
    """
    if name == "process":
        return in_threads

    def on_spark(ratings: Ratings, settings: RefitSettings) -> AbstractContextManager[Learner]:
        from modeler.refit_spark import OnSpark

        return closing(OnSpark(spark(), ratings, settings.refit_blocks))

    return on_spark


def _on_this_machine(master: str) -> bool:
    return master == "local" or master.startswith("local[")
