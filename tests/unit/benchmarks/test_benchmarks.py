"""The benchmarks print one JSON object each, and measure what they say."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.report import show
from recommender.generate import generate

ROOT = Path(__file__).parents[3]


def figures(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def test_kernel_measures_the_same_learning_twice() -> None:
    found = figures(
        "kernel", "--ratings=20000", "--users=500", "--items=400", "--rank=4", "--repeats=1"
    )

    # Plain numpy and the compiled kernel learn the same: otherwise the comparison means nothing.
    assert 0 <= found["largest_difference"] < 1e-4
    assert found["speedup"] > 1
    assert found["speedup"] == pytest.approx(
        found["updates_per_second"] / found["plain_updates_per_second"]
    )


def test_accuracy_on_a_file(tmp_path: Path) -> None:
    data = generate(100, 60, 1_500, seed=1)
    columns = (data.users.to_pylist(), data.items.to_pylist(), data.ratings.tolist())
    path = tmp_path / "mine.csv"
    path.write_text(
        "user,item,rating\n" + "".join(f"{u},{i},{r}\n" for u, i, r in zip(*columns, strict=True))
    )

    found = figures("accuracy", "--data", str(path), "--seeds", "2")

    assert found["data"] == "mine"
    methods = found["methods"]
    assert set(methods) == {
        "popularity",
        "mean",
        "biases",
        "stream",
        "stream, replay 9",
        "stream, one pass, no replay",
        "stream, no ranking head",
    }
    without = methods["stream, no ranking head"]
    assert methods["stream"]["rmse"] == without["rmse"]  # the heads leave each other alone
    assert methods["biases"]["rmse"] < methods["popularity"]["rmse"]
    assert methods["stream"]["n_test"] == methods["popularity"]["n_test"]
    assert methods["stream"]["rmse_warm_deviation"] > 0  # two seeds are two models


def test_no_method_beats_the_noise_of_generated_data() -> None:
    found = figures("accuracy", "--generated", "--seeds", "1")

    assert found["data"] == "generated"
    for method in found["methods"].values():
        assert method["rmse_warm"] > found["noise_rmse"]


def test_fit_judges_both_by_the_same_ratings(spark: object) -> None:
    size = ["--users=120", "--items=100", "--ratings=2500", "--rank=4", "--repeats=1"]

    found = figures("fit", *size, "--epochs=2")

    ours, theirs = found["methods"]["refit"], found["methods"]["als"]
    assert found["methods"]["refit_on_spark"]["rmse_warm"] == ours["rmse_warm"]
    assert min(ours["rmse_warm"], theirs["rmse_warm"]) > found["noise_rmse"]
    assert found["als_seconds_over_refit_seconds"] == pytest.approx(
        theirs["seconds"] / ours["seconds"]
    )
    assert 1_900 < found["ratings_learned"] < 2_100


def test_a_race_takes_out_the_hopeless_and_leaves_a_leader_near_the_best() -> None:
    found = figures("race", "--generated", "--size=30000", "--equals=1")

    for order in ("time", "file", "shuffled"):
        out, rmse = found["out_after"][order], found["prequential_rmse"][order]
        assert out["hopeless: constant great steps"] <= 20_000
        assert out["hopeless: hardly moves"] <= 20_000
        assert rmse[found["orders"][order]["leader"]] <= 1.01 * min(rmse.values())
        assert all(name.startswith("hopeless") for name in sorted(rmse, key=rmse.get)[-2:])
        assert found["of_them_somebody_taken_out"][order] == 0
    # Another order is another stream, the same settings another model.
    assert found["prequential_rmse"]["file"] != found["prequential_rmse"]["shuffled"]


def test_wrong_setting_of_the_stream_is_refused() -> None:
    result = CliRunner().invoke(app, ["stream", "--set", "rank"])

    assert result.exit_code == 2
    assert "NAME=VALUE" in result.output


def test_every_benchmark_is_documented() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()

    for command in app.registered_commands:
        assert f"`{command.name}`" in page


def test_json_knows_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    show("mine", {"a": math.nan, "b": {"c": [math.inf, 1.5]}}, as_json=True)

    printed = json.loads(capsys.readouterr().out)
    assert printed["a"] is None
    assert printed["b"] == {"c": [None, 1.5]}
    assert printed["machine"]["cores"] >= 1


def test_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    show("mine", {"rate": 123456.7, "methods": {"x": {"rmse": 0.5}, "y": {"rmse": 0.25}}}, False)

    shown = capsys.readouterr().out
    assert "123,457" in shown
    assert "0.25" in shown
