"""``python -m modeler evaluate``: one JSON object, options that reach the engine, complaints."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from modeler.evaluate import evaluate
from recommender.errors import InvalidData, InvalidInput, InvalidSetting
from recommender.generate import generate
from recommender.model_settings import ModelSettings
from tests.fakes.terminal import write_ratings


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ModelSettings.model_fields:
        monkeypatch.delenv(f"RECOMMENDER_{name.upper()}", raising=False)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    dataset = generate(80, 60, 1_200, seed=1)
    chosen = np.arange(1_200) % 5 != 0
    train = write_ratings(tmp_path / "train.csv", dataset.take(chosen))
    test = write_ratings(tmp_path / "test.csv", dataset.take(~chosen))
    with test.open("a") as file:
        file.write("a-stranger,i1,4\nu1,never-seen,2\nboth,new,5\n")
    return ["--train", str(train), "--test", str(test)]


def invoke(arguments: list[str]) -> str:
    app = typer.Typer()
    app.command("evaluate")(evaluate)
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def judged(arguments: list[str]) -> dict[str, Any]:
    """The whole JSON object; few draws, since intervals have tests of their own."""
    return json.loads(invoke([*arguments, "--json", "--draws", "10"]))  # type: ignore[no-any-return]


def figures(arguments: list[str]) -> dict[str, Any]:
    """Of the only method: its figures and what it says of its learning."""
    (method,) = judged(arguments)["methods"].values()
    return {**method, **method["figures"]}


def count_cold(files: list[str]) -> int:
    train, test = (
        [line.split(",") for line in Path(path).read_text().splitlines()[1:]]
        for path in (files[1], files[3])
    )
    users, items = {row[0] for row in train}, {row[1] for row in train}
    return sum(user not in users or item not in items for user, item, _ in test)


@pytest.mark.parametrize(
    "method", ["stream", "refit", "knn", "knn-bm25", "ease", "popularity", "mean", "biases"]
)
def test_one_json_object_with_every_promised_figure(files: list[str], method: str) -> None:
    whole = judged([*files, "--method", method])
    found = {**whole["methods"][method], **whole["methods"][method]["figures"]}

    promised = (
        "rmse mae n_test n_cold ndcg_at_10 recall_at_10 map_at_10 hit_rate_at_10 coverage_at_10 "
        "novelty_at_10 popular_share_at_10 rmse_warm rmse_cold ndcg_at_10_warm ndcg_at_10_cold "
        "seconds_learning popularity_deciles"
    )
    assert set(promised.split()) <= set(found)
    assert list(whole["methods"]) == [method]
    cold = count_cold(files)
    assert cold >= 3
    assert (whole["n_train"], found["n_test"], found["n_cold"]) == (960, 243, cold)
    assert sum(found["popularity_deciles"]) == pytest.approx(1)
    total = (243 - cold) * found["rmse_warm"] ** 2 + cold * found["rmse_cold"] ** 2
    assert found["rmse"] == pytest.approx(math.sqrt(total / 243))


def test_the_engine_learns(files: list[str]) -> None:
    assert figures(files)["rmse_warm"] < figures([*files, "--method", "popularity"])["rmse_warm"]


def test_settings_reach_the_engine(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_RANK", "5")
    monkeypatch.setenv("RECOMMENDER_DECAY", "0.25")

    found = figures([*files, "--rank", "3", "--passes", "1", "--micro-batch", "50"])

    assert found["settings"]["rank"] == 3  # an option beats a variable
    assert found["settings"]["decay"] == 0.25
    assert found["settings"]["passes"] == 1
    assert found["micro_batch"] == 50


def test_the_scale_is_the_datas_unless_stated(
    files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert figures(files)["settings"]["rating_max"] == 5.0
    assert figures([*files, "--rating-max", "10"])["settings"]["rating_max"] == 10.0
    monkeypatch.setenv("RECOMMENDER_RATING_MIN", "0")
    assert figures(files)["settings"]["rating_min"] == 0.0


def test_one_pass_does_not_depend_on_the_micro_batch(files: list[str]) -> None:
    one, other = (
        figures([*files, "--passes", "1", "--replay", "0", "--micro-batch", size])
        for size in ("7", "1000")
    )

    assert one["rmse"] == other["rmse"]


def test_order_of_time(tmp_path: Path) -> None:
    rows = ["a,x,5,3", "b,x,1,1", "a,y,2,2", "b,y,4,0"]
    header = "user,item,rating,timestamp\n"
    paths = {}
    for name, lines in (
        ("file", rows),
        ("sorted", sorted(rows, key=lambda row: int(row.split(",")[3]))),
    ):
        paths[name] = tmp_path / f"{name}.csv"
        paths[name].write_text(header + "\n".join(lines) + "\n")
    test = ["--test", str(paths["file"]), "--initial-scale", "0"]

    by_time = figures(["--train", str(paths["file"]), *test, "--order", "time"])
    already = figures(["--train", str(paths["sorted"]), *test])
    by_file = figures(["--train", str(paths["file"]), *test])

    assert by_time["prequential_rmse"] == already["prequential_rmse"]
    assert by_time["prequential_rmse"] != by_file["prequential_rmse"]


def test_figures_without_a_base_are_null(tmp_path: Path) -> None:
    path = tmp_path / "low.csv"
    path.write_text("user,item,rating\na,x,1\nb,x,2\nb,y,1\n")

    found = figures(["--train", str(path), "--test", str(path)])

    assert found["ndcg_at_10"] is None
    assert found["rmse_cold"] is None


def test_the_share_of_the_scale_that_is_relevant(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("user,item,rating\na,x,0\nb,y,100\n")
    test.write_text("user,item,rating\na,y,70\nb,x,60\n")

    whole = judged(["--train", str(train), "--test", str(test), "--relevant-share", "0.65"])

    assert whole["relevant_rating"] == 65.0
    (found,) = whole["methods"].values()
    assert found["figures"]["n_users_ranked"] == 1
    assert found["figures"]["ndcg_at_10"] == 1.0


def test_a_table_for_people(files: list[str]) -> None:
    shown = invoke(files)

    assert "ndcg_at_10" in shown
    assert "243" in shown


def test_a_wrong_option_is_named(files: list[str]) -> None:
    with pytest.raises(InvalidSetting, match=r"--rank=0: .*greater than or equal to 1"):
        invoke([*files, "--rank", "0"])


def test_a_wrong_variable_is_named(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_DECAY", "much")

    with pytest.raises(InvalidSetting, match="RECOMMENDER_DECAY='much'"):
        invoke(files)


def test_a_missing_file_is_named(files: list[str]) -> None:
    with pytest.raises(InvalidData, match=r"none\.csv: does not exist"):
        invoke([*files[:2], "--test", "none.csv"])


def test_data_are_divided_as_asked(tmp_path: Path) -> None:
    path = write_ratings(tmp_path / "all.csv", generate(80, 60, 1_200, seed=1))
    data = ["--data", str(path), "--method", "biases"]

    random = judged([*data, "--train-share", "0.7"])
    folds = judged([*data, "--split", "k-fold", "--folds", "3"])
    one_each = judged([*data, "--split", "leave-one-out"])

    assert random["split"] == {
        "data": "all.csv",
        "split": "random",
        "seed": 42,
        "train_share": 0.7,
    }
    assert random["n_train"] == np.count_nonzero(np.random.default_rng(42).random(1_200) < 0.7)
    assert (folds["n_train"], folds["n_test"]) == (2_400, 1_200)
    users = [line.split(",")[0] for line in path.read_text().splitlines()[1:]]
    assert one_each["n_test"] == sum(count > 1 for count in Counter(users).values())


def test_methods_side_by_side(files: list[str]) -> None:
    both = ["--method", "biases", "--method", "popularity", "--baseline", "popularity"]

    found = judged([*files, *both])

    assert found["baseline"] == "popularity"
    biases, popularity = found["methods"]["biases"], found["methods"]["popularity"]
    difference = biases["differences"]["rmse"]
    assert difference["value"] == pytest.approx(
        biases["figures"]["rmse"] - popularity["figures"]["rmse"]
    )
    assert difference["low"] < difference["high"] < 0
    assert popularity["differences"] == {}
    low, high = biases["intervals"]["rmse"]
    assert low < biases["figures"]["rmse"] < high


def test_a_setting_of_a_method(files: list[str]) -> None:
    few = figures([*files, "--method", "knn", "--set", "knn_neighbors=2"])

    assert few["settings"] == {"knn_neighbors": 2}
    assert few["rmse"] != figures([*files, "--method", "knn"])["rmse"]
    with pytest.raises(InvalidInput, match="knn_neighbours"):
        figures([*files, "--set", "knn_neighbours=2"])
    with pytest.raises(InvalidSetting, match=r"--set knn_neighbors='0'"):
        figures([*files, "--method", "knn", "--set", "knn_neighbors=0"])


def test_a_page_with_plots(files: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "report"

    found = judged([*files, "--method", "biases", "--method", "knn", "--report", str(folder)])

    page = (folder / "report.html").read_text()
    for name, method in found["methods"].items():
        assert f"<th>{name}</th>" in page
        assert f"{method['figures']['rmse']:.4f}" in page
    for picture in re.findall(r'src="([^"]+)"', page):
        assert (folder / picture).stat().st_size > 1_000
        with Image.open((folder / picture).with_suffix(".png")) as image:
            assert image.width > 300


def test_ratings_come_from_one_place(files: list[str]) -> None:
    for given in (files[:2], [*files, "--data", files[1]], []):
        with pytest.raises(InvalidInput, match="either --data, or --train and --test"):
            invoke(given)


def test_every_setting_of_the_model_is_an_option() -> None:
    shown = invoke(["--help"])

    for name in ModelSettings.model_fields:
        assert f"--{name.replace('_', '-')}" in shown
