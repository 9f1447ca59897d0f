"""``python -m modeler simulate``: the curve is what the engine measures, and is written down."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modeler import films
from recommender.datasets import load
from recommender.errors import InvalidInput
from recommender.evaluation import evaluate
from recommender.generate import generate
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.splits import random_split
from tests.fakes.terminal import modeler, write_ratings


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_ratings(tmp_path / "all.csv", generate(80, 60, 1_100, seed=1))


def test_the_curve_ends_where_evaluation_ends(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"

    told = modeler(
        "simulate",
        *("--data", str(data), "--micro-batch", "100", "--batch", "biases", "--rank-every", "3"),
        *("--output", str(folder), "--rank", "4", "--rating-min", "0.5", "--rating-max", "5"),
    )

    rows = list(csv.DictReader((folder / "curve.csv").open()))
    split = random_split(load(data))
    n_train = len(split.train.ratings)
    assert [int(row["ratings"]) for row in rows] == [*range(100, n_train, 100), n_train]
    model = MemoryModel(split.user_ids, split.item_ids, ModelSettings(rank=4))
    for start in range(0, n_train, 100):
        part = slice(start, start + 100)
        model.learn(split.train.users[part], split.train.items[part], split.train.ratings[part])
    figures = evaluate(model, split).figures()
    assert float(rows[-1]["rmse_warm"]) == pytest.approx(figures["rmse_warm"], abs=1e-6)
    assert float(rows[-1]["ndcg_at_10"]) == pytest.approx(figures["ndcg_at_10"], abs=1e-6)
    assert told["stream"]["rmse_warm"] == pytest.approx(figures["rmse_warm"], abs=1e-6)
    looked = [number for number, row in enumerate(rows, start=1) if row["ndcg_at_10"]]
    assert looked == [*range(3, len(rows), 3), len(rows)]
    assert {row["biases_rmse_warm"] for row in rows} == {str(told["biases"]["rmse_warm"])}
    with Image.open(folder / "curve.gif") as film:
        assert film.n_frames == len(rows)
    for picture in ("curve.png", "curve.svg"):
        assert (folder / picture).stat().st_size > 1_000


def test_films_keep_their_frames_and_show_the_last_longest(tmp_path: Path) -> None:
    frames = [np.full((4, 6), level, np.uint8) for level in (0, 90, 200)]

    films.write(tmp_path / "film.gif", frames)

    with Image.open(tmp_path / "film.gif") as film:
        assert (film.n_frames, film.size) == (3, (6, 4))
        seen, durations = [], []
        for number in range(3):
            film.seek(number)
            seen.append(film.convert("L").getpixel((0, 0)))
            durations.append(film.info["duration"])
    assert seen == [0, 90, 200]
    assert durations[2] > durations[0] == durations[1]


def test_data_or_shop(data: Path) -> None:
    for given in ([], ["--data", str(data), "--shop"]):
        with pytest.raises(InvalidInput, match="either --data FILE or --shop"):
            modeler("simulate", *given)
