"""The Spark session, with the options that matter to a stream and why."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from modeler import daemon
from modeler.java import DEEP_STACK
from modeler.settings import ModelerSettings
from recommender.errors import MissingRequirement

# Names the folder where Python finds our packages on executors that do not share our directory.
_SOURCE = Path(__file__).parent.parent


def session(settings: ModelerSettings, scratch: Path, zygote: Path | None) -> SparkSession:
    """Start Spark.

    Parameters
    ----------
    settings : ModelerSettings
    scratch : Path
        For what Spark writes to the disk.
    zygote : Path, optional
        Socket of the `Zygote` that its Python workers are to be forked from.

    Raises
    ------
    MissingRequirement
        If the jars folder holds no jars.
    """
    # Workers must be this very interpreter, or they take another Python from the PATH.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    options = {
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.driver.extraJavaOptions": " ".join(_java_options(settings.class_archive)),
        "spark.local.dir": str(scratch),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Times are seconds since the epoch throughout; no machine's time zone may enter.
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        # A micro-batch's plan is one task: planning it again while it runs only costs time.
        "spark.sql.adaptive.enabled": "false",
        # A worker keeps its compiled kernels and its connection for the next micro-batch.
        "spark.python.worker.reuse": "true",
        "spark.python.worker.idleTimeoutSeconds": "0",
        # Few large Arrow batches; each is read while the next is on its way.
        "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
        # What is kept between two steps of a micro-batch is packed already.
        "spark.sql.inMemoryColumnarStorage.compressed": "false",
        # The truth about offsets is in Postgres; the default manager forks a process for each
        # checkpoint file.
        "spark.sql.streaming.checkpointFileManagerClass": (
            "org.apache.spark.sql.execution.streaming.checkpointing"
            ".FileSystemBasedCheckpointFileManager"
        ),
        "spark.sql.streaming.minBatchesToRetain": "2",
        "spark.executorEnv.PYTHONPATH": str(_SOURCE),
    }
    if zygote is not None:
        options["spark.python.daemon.module"] = daemon.__name__
        options[f"spark.executorEnv.{daemon.ADDRESS}"] = str(zygote)
    if settings.jars is not None:
        jars = sorted(str(jar) for jar in settings.jars.glob("*.jar"))
        if not jars:
            raise MissingRequirement(
                f"RECOMMENDER_JARS={settings.jars} holds no jars: `python -m local.jars FOLDER` "
                "fetches them"
            )
        # On the class path itself, where an archive of classes looks for them.
        for where in ("driver", "executor"):
            options[f"spark.{where}.extraClassPath"] = os.pathsep.join(jars)
    builder = SparkSession.builder.master(settings.spark_master).appName("modeler")
    for name, value in options.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    return spark


def _java_options(archive: Path | None) -> list[str]:
    options = [DEEP_STACK]
    if archive is not None and archive.exists():
        options += [f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off"]
    return options
