"""The Spark session of batch training, with the options that matter to it and why."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession

from modeler import java
from modeler.settings import SparkSettings
from recommender.settings import load

_SOURCE = Path(__file__).parent.parent


def session(settings: SparkSettings | None = None) -> SparkSession:
    """The session of this process, started when first asked for; Spark ends it with the process.

    Raises
    ------
    MissingRequirement
        If there is no Java.
    """
    running = SparkSession.getActiveSession()
    if running is not None:
        return running
    settings = settings or load(SparkSettings)
    scratch = settings.scratch or Path(tempfile.gettempdir())
    # Spark's launcher finds Java by this variable, or takes whatever is on the path.
    os.environ["JAVA_HOME"] = str(java.find(scratch / "recommender-java").home)
    # Workers must be this very interpreter, and find the rooms.
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(_SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    options = {
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.driver.extraJavaOptions": java.DEEP_STACK,
        # A refit's factors come back to the driver after each epoch: its heap is the bound.
        "spark.driver.maxResultSize": settings.spark_driver_memory,
        "spark.local.dir": str(scratch),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.sql.session.timeZone": "UTC",
        # ALS shuffles blocks of factors each half iteration: arrays of numbers, which Kryo writes
        # without the class descriptions of Java's own serialisation.
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
        # Ratings come and factors go as Arrow columns; the default would pickle row by row.
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # A setting that is tried keeps its compiled kernels for the next one.
        "spark.python.worker.reuse": "true",
        "spark.executorEnv.PYTHONPATH": str(_SOURCE),
    }
    if settings.spark_master.startswith("local"):
        # On one machine nothing else needs to reach the driver.
        options |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    builder = SparkSession.builder.master(settings.spark_master).appName("batch")
    for name, value in options.items():
        builder = builder.config(name, value)
    # py4j tells of each call between Python and the JVM.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    return builder.getOrCreate()
