"""A refit on Spark is bit for bit one process's, whoever learns it and whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from local.processes import REPOSITORY
from modeler import refit_spark
from modeler.refit_spark import OnSpark
from modeler.refit_way import RefitWaySettings, chosen
from recommender.datasets import IndexedRatings
from recommender.generate import generate
from recommender.model_file import read
from recommender.model_settings import ModelSettings
from recommender.refit import Epoch, RefitSettings, refit
from tests.fakes.terminal import modeler, write_ratings
from tests.integration.modeler.test_cluster import is_below, spark_home

SMALL = {
    "refit_rank": 5,
    "refit_ranking_rank": 6,
    "refit_negatives": 8,
    "refit_epochs": 1,
    "refit_ranking_epochs": 1,
}
_PATIENCE = 300  # seconds; four JVMs start first


@pytest.fixture(scope="module")
def train() -> IndexedRatings:
    return generate(80, 47, 900, seed=3).indexed()


@pytest.mark.parametrize(
    ("blocks", "workers", "validation"), [(4, 1, 0.0), (4, 3, 0.2), (2, 2, 0.0)]
)
def test_any_number_of_workers_learns_what_one_process_learns(
    spark: SparkSession,
    train: IndexedRatings,
    blocks: int,
    workers: int,
    validation: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Ratings in four slices, rows in several pieces a block, as large ones come.
    monkeypatch.setattr(refit_spark, "_SLICE", 250)
    monkeypatch.setattr(refit_spark, "_PIECE", 200)
    settings = RefitSettings(**SMALL, refit_blocks=blocks, refit_validation_share=validation)
    told: dict[str, list[Epoch]] = {"process": [], "spark": []}
    kept = spark.sparkContext._jsc.getPersistentRDDs
    before = set(kept())  # by MLlib, in this session's other tests

    alone = refit(train, ModelSettings(), settings, told["process"].append)
    found = refit(
        train,
        ModelSettings(),
        settings,
        told["spark"].append,
        lambda ratings, given: closing(OnSpark(spark, ratings, given.refit_blocks, workers)),
    )

    assert told["spark"] == told["process"] != []
    assert found.validation == alone.validation
    for side in ("user_rows", "item_rows"):
        rows, theirs = getattr(found.model, side), getattr(alone.model, side)
        assert rows.pack().tobytes() == theirs.pack().tobytes()
    assert set(kept()) <= before


def test_which_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = RefitWaySettings(refit_spark_ratings=1000)
    assert chosen(settings, 5000) == "process"  # Spark has this machine's cores only
    assert chosen(RefitWaySettings(refit_way="spark"), 1) == "spark"

    monkeypatch.setenv("RECOMMENDER_SPARK_MASTER", "spark://elsewhere:7077")
    assert [chosen(settings, ratings) for ratings in (999, 1000)] == ["process", "spark"]
    assert chosen(RefitWaySettings(refit_way="process"), 10**9) == "process"


def test_an_executor_that_is_killed_changes_nothing(tmp_path: Path, java_home: Path) -> None:
    """`fit` on two executors, processes of their own; one dies with the ratings that it keeps."""
    data = write_ratings(tmp_path / "all.csv", generate(80, 47, 900, seed=3))
    given = [f"--set={name}={value}" for name, value in {**SMALL, "refit_epochs": 8}.items()]
    given += ["--data", str(data), "--set=refit_validation_share=0"]
    on_spark, alone = tmp_path / "spark.npz", tmp_path / "alone.npz"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "modeler", "fit", *given),
            *("--set=refit_way=spark", "--output", str(on_spark)),
        ],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "JAVA_HOME": str(java_home),
            "SPARK_HOME": spark_home(),
            "RECOMMENDER_SPARK_MASTER": "local-cluster[2,1,1024]",
            "RECOMMENDER_SCRATCH": str(tmp_path),
        },
    )
    try:
        modeler("fit", *given, "--output", str(alone))
        victim = learning_executor(process)
        time.sleep(1)  # into the epochs
        assert process.poll() is None
        os.kill(victim, signal.SIGKILL)
        assert process.wait(_PATIENCE) == 0
    finally:
        process.kill()
        process.wait()

    learned, expected = read(on_spark), read(alone)
    assert (learned.report["way"], expected.report["way"]) == ("spark", "process")
    for side in ("users", "items"):
        assert learned.model.state()[side].tobytes() == expected.model.state()[side].tobytes()


def learning_executor(driver: subprocess.Popen[bytes]) -> int:
    """The process of an executor that has a Python worker."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        assert driver.poll() is None
        running = {pid: command for pid, command in processes() if is_below(pid, driver.pid)}
        executors = [pid for pid, line in running.items() if b"CoarseGrainedExecutor" in line]
        workers = [pid for pid, line in running.items() if b"pyspark.daemon" in line]
        for executor in executors:
            if any(is_below(worker, executor) for worker in workers):
                return executor
        time.sleep(0.1)
    raise TimeoutError("no executor has a Python worker")


def processes() -> list[tuple[int, bytes]]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found.append((int(entry.name), (entry / "cmdline").read_bytes()))
        except OSError:  # it has ended meanwhile
            continue
    return found
