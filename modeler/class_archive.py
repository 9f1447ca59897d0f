"""An archive of the classes that Java loads for Spark, so that a start need not read them again.

Half of the processor time of a start goes into finding, checking and linking some 20,000 classes.
Java can keep them in a file as it holds them in memory (application class-data sharing, JEP 350). A
file that does not fit, since Java or a jar is another, is passed over by Java.

``python -m modeler.class_archive FILE`` makes one, with the class path that the modeler has where
``RECOMMENDER_JARS`` is the same.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer
from pyspark.sql import DataFrame

from modeler.settings import ModelerSettings
from modeler.spark import session
from recommender.errors import MissingRequirement
from recommender.settings import load

_WITHIN = 120.0  # seconds for a few micro-batches, and for Java to write the file
_MICRO_BATCHES = 3


def make(archive: Path) -> None:
    """Run Spark as the modeler does, and have Java write down at its end what it has loaded.

    A process has one Java, so it must be one that has not started Spark.

    Raises
    ------
    MissingRequirement
        If Java writes no file; a Java without an archive of its own classes cannot.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    fresh = archive.with_name(f"{archive.name}.{os.getpid()}")
    os.environ["SPARK_SUBMIT_OPTS"] = f"-XX:ArchiveClassesAtExit={fresh} -Xlog:cds=off"
    settings = load(ModelerSettings).model_copy(update={"class_archive": None})
    try:
        with tempfile.TemporaryDirectory(prefix="classes-") as scratch:
            spark = session(settings, Path(scratch), None)
            gateway = spark.sparkContext._gateway
            assert gateway is not None  # Spark is ours, not one that is reached over the network
            seen = 0

            def learn(batch: DataFrame, _: int) -> None:
                nonlocal seen
                batch.mapInArrow(_as_it_comes, "value long").collect()
                seen += 1

            records = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 10).load()
            query = (
                records.select("value")
                .coalesce(1)
                .mapInArrow(_as_it_comes, "value long")
                .writeStream.foreachBatch(learn)
                .option("checkpointLocation", str(Path(scratch, "checkpoint")))
                .start()
            )
            while seen < _MICRO_BATCHES and query.isActive:
                time.sleep(0.1)
            query.stop()
            spark.stop()
            gateway.proc.stdin.close()  # by which Java knows that this process has ended
            gateway.proc.wait(_WITHIN)
        if not fresh.exists():
            raise MissingRequirement(f"Java wrote no archive of its classes to {archive}.")
        fresh.replace(archive)
    finally:
        fresh.unlink(missing_ok=True)


def _as_it_comes(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def main(archive: Annotated[Path, typer.Argument(help="The file to write.")]) -> None:
    """Write an archive of Java's classes, for RECOMMENDER_CLASS_ARCHIVE."""
    try:
        make(archive.absolute())
    except MissingRequirement as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
