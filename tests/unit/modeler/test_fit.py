"""``python -m modeler fit``: a model file from a CSV, judged by `evaluate` to the same figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recommender.errors import InvalidInput
from recommender.generate import generate
from recommender.model_file import read
from tests.fakes.terminal import modeler, write_ratings


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    dataset = generate(80, 60, 1_200, seed=1)
    chosen = np.arange(1_200) % 5 != 0
    return (
        str(write_ratings(tmp_path / "train.csv", dataset.take(chosen))),
        str(write_ratings(tmp_path / "test.csv", dataset.take(~chosen))),
    )


@pytest.mark.parametrize("method", ["refit", "stream", "knn", "biases"])
def test_a_file_is_judged_as_the_method_itself(
    files: tuple[str, str], tmp_path: Path, method: str
) -> None:
    train, test = files
    path = tmp_path / "mine.npz"
    small = ["--set", "refit_rank=8", "--set", "refit_ranking_rank=8", "--seed", "7"]
    small += ["--rating-min", "0.5", "--rating-max", "5"]

    told = modeler("fit", "--data", train, "--method", method, "--output", str(path), *small)
    both = modeler(
        *("evaluate", "--train", train, "--test", test, "--method", method),
        *("--model-file", str(path), "--draws", "20", *small),
    )
    alone = modeler("evaluate", "--model-file", str(path), "--test", test, "--draws", "20")

    assert told["n_train"] == 960
    assert both["methods"]["mine"]["method"] == method
    figures = both["methods"][method]["figures"]
    for found in (both["methods"]["mine"]["figures"], alone["methods"]["mine"]["figures"]):
        # A file knows no item that came later, not even its user's bias: cold pairs differ.
        for name in ("rmse_warm", "mae_warm", "ndcg_at_10_warm", "n_test", "n_cold"):
            assert found[name] == pytest.approx(figures[name], abs=1e-5), name


def test_ids_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text("user,item,rating\n007,1e3,5\n7,1000,1\n007,1000,2\n")

    modeler("fit", "--data", str(path), "--method", "biases", "--output", str(tmp_path / "m.npz"))

    file = read(tmp_path / "m.npz")
    assert file.train.user_ids.to_pylist() == ["007", "7"]
    assert file.train.item_ids.to_pylist() == ["1e3", "1000"]


def test_one_source_and_a_folder_that_exists(files: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="either --data FILE or --stored"):
        modeler("fit")
    with pytest.raises(InvalidInput, match="a file in a folder that exists"):
        modeler("fit", "--data", files[0], "--output", str(tmp_path / "no" / "m.npz"))
