"""``python -m modeler tune`` on Spark: means worked out anew, resuming, the file that it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from recommender.datasets import load
from recommender.evaluation import evaluate
from recommender.generate import generate
from recommender.item_knn import Similarity, item_knn
from recommender.model_settings import ModelSettings
from recommender.splits import k_fold
from tests.fakes.terminal import modeler, write_ratings


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_ratings(tmp_path / "all.csv", generate(60, 50, 700, seed=1))


def files(folder: Path) -> list[str]:
    return ["--results", str(folder / "found.jsonl"), "--best", str(folder / "best.env")]


def test_means_over_folds_and_the_best(spark: SparkSession, data: Path, tmp_path: Path) -> None:
    told = modeler(
        "tune",
        *("--data", str(data), "--method", "knn", "--grid", "knn_neighbors=2,5,20"),
        *("--folds", "2", "--train-share", "0.8", "--split-seed", "5", *files(tmp_path)),
    )

    # What `evaluate --split-seed 5` would test by is left out.
    every = load(data)
    kept_rows = np.random.default_rng(5).random(len(every)) < 0.8
    splits = k_fold(every.take(kept_rows), 2, 42)
    expected = {
        kept: np.mean(
            [
                evaluate(item_knn(one.train, Similarity.cosine, kept), one).figures()["rmse_warm"]
                for one in splits
            ]
        )
        for kept in (2, 5, 20)
    }
    found = {row["settings"]["knn_neighbors"]: row["rmse_warm"] for row in told["results"]}
    assert found == pytest.approx(expected)
    best = min(expected, key=lambda kept: expected[kept])
    assert told["best"] == {"knn_neighbors": best}
    assert f"RECOMMENDER_KNN_NEIGHBORS={best}" in (tmp_path / "best.env").read_text().splitlines()
    assert told["tried"] == 6


def test_a_search_that_was_stopped_goes_on(spark: SparkSession, data: Path, tmp_path: Path) -> None:
    given = ["--data", str(data), "--method", "ease", "--folds", "2", *files(tmp_path)]
    first = modeler("tune", *given, "--grid", "ease_regularization=10,100")
    lines = (tmp_path / "found.jsonl").read_text().splitlines()
    # As a kill leaves it: one result missing, one cut short.
    (tmp_path / "found.jsonl").write_text("\n".join(lines[:2]) + "\n" + lines[2][:30])

    again = modeler("tune", *given, "--grid", "ease_regularization=10,100")
    wider = modeler("tune", *given, "--grid", "ease_regularization=10,100,1000")
    other = modeler("tune", *given, "--grid", "ease_regularization=10,100", "--search-seed", "7")

    assert (first["tried"], again["tried"], wider["tried"], other["tried"]) == (4, 2, 2, 4)
    for row, before in zip(again["results"], first["results"], strict=True):
        assert row["settings"] == before["settings"]
        assert row["rmse_warm"] == pytest.approx(before["rmse_warm"])


def test_settings_of_the_stream_are_read_by_it(
    spark: SparkSession, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = modeler(
        "tune",
        *("--data", str(data), "--method", "stream", "--between", "learning_rate=0.1:1:log"),
        *("--between", "passes=1:3", "--trials", "3", "--folds", "2", "--rank", "4"),
        *("--metric", "ndcg_at_10", *files(tmp_path)),
    )

    values = [row["ndcg_at_10"] for row in told["results"]]
    assert values == sorted(values, reverse=True)
    monkeypatch.setenv("RECOMMENDER_SETTINGS_FILE", str(tmp_path / "best.env"))
    assert ModelSettings().learning_rate == told["best"]["learning_rate"]
    assert ModelSettings().passes == told["best"]["passes"]
    monkeypatch.setenv("RECOMMENDER_PASSES", "9")
    assert ModelSettings().passes == 9  # the environment goes before the file


def test_als_is_searched_too(spark: SparkSession, data: Path, tmp_path: Path) -> None:
    told = modeler(
        "tune",
        *("--data", str(data), "--method", "als", "--grid", "als_rank=2", "--grid"),
        *("als_reg_param=0.1,5", "--grid", "als_max_iter=2", "--folds", "2", *files(tmp_path)),
    )

    assert told["best"]["als_reg_param"] == 0.1
    assert told["results"][0]["rmse_warm"] < told["results"][1]["rmse_warm"]
