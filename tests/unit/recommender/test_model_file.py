"""Model files: every kind comes back as it went, and what is none is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recommender.baselines import Biases, Popularity
from recommender.ease import ease
from recommender.errors import InvalidData
from recommender.extended import Extended
from recommender.factor_model import ColdStart, FactorModel, Factors
from recommender.generate import generate
from recommender.item_knn import Similarity, item_knn
from recommender.model import MemoryModel
from recommender.model_file import Model, ModelFile, read, save
from recommender.model_settings import ModelSettings
from recommender.splits import Split

DATA = generate(40, 30, 250, seed=2)
TRAIN = DATA.indexed()


def streamed() -> Model:
    model = MemoryModel(TRAIN.user_ids, TRAIN.item_ids, ModelSettings(rank=4, ranking_rank=6))
    model.learn(TRAIN.users, TRAIN.items, TRAIN.ratings)
    return model


def factors(alpha: float | None, cold_start: ColdStart = "drop") -> Model:
    random = np.random.default_rng(1)
    users, items = (random.normal(0, 1, (n, 3)).astype(np.float32) for n in (40, 30))
    n_users, n_items = len(TRAIN.user_ids), len(TRAIN.item_ids)
    return FactorModel(Factors(users[:n_users], items[:n_items], 0.2, alpha), TRAIN, cold_start)


MODELS = {
    "b-sgd": streamed,
    "als": lambda: factors(None),
    "als-implicit": lambda: factors(3.0),
    "knn": lambda: item_knn(TRAIN, Similarity.cosine, 5),
    "ease": lambda: ease(TRAIN, 10.0),
    "popularity": lambda: Popularity(TRAIN),
    "item means": lambda: Biases(TRAIN, users=False, damping=2.0),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_as_it_went(name: str, tmp_path: Path) -> None:
    model: Model = MODELS[name]()
    path = tmp_path / "model.npz"
    titles = {"i1": "Größe (1999)"}

    save(
        path,
        ModelFile(model, TRAIN, name, "tiny", (0.5, 5.0), {"rank": 4}, {"epochs": 2}, titles),
    )
    file = read(path)

    everyone = np.arange(len(TRAIN.user_ids), dtype=np.int32)
    assert np.array_equal(file.model.scores(everyone), model.scores(everyone))
    pairs = (TRAIN.users[:50], TRAIN.items[49::-1])
    assert np.array_equal(file.model.predict(*pairs), model.predict(*pairs))
    some = (np.array([1, 4], np.int32), np.array([5, 2], np.float32))
    assert np.array_equal(file.model.scores_for(*some), model.scores_for(*some))
    assert (file.method, file.data, file.scale) == (name, "tiny", (0.5, 5.0))
    assert (file.settings, file.report, file.titles) == ({"rank": 4}, {"epochs": 2}, titles)
    assert file.dataset().users.to_pylist() == DATA.users.to_pylist()
    assert file.dataset().items.to_pylist() == DATA.items.to_pylist()


def test_a_model_of_a_file_goes_on_learning_as_the_first_would(tmp_path: Path) -> None:
    first = streamed()
    save(tmp_path / "m.npz", ModelFile(first, TRAIN, "stream", "tiny", (0.5, 5.0)))
    second = read(tmp_path / "m.npz").model
    assert isinstance(first, MemoryModel)
    assert isinstance(second, MemoryModel)

    for model in (first, second):
        model.learn(TRAIN.users[:40], TRAIN.items[:40], TRAIN.ratings[:40])

    assert first.item_rows.pack().tobytes() == second.item_rows.pack().tobytes()


@pytest.mark.parametrize("content", [b"", b"user,item,rating\n", b"PK\x03\x04 cut short"])
def test_what_is_no_model_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    path.write_bytes(content)

    with pytest.raises(InvalidData, match=r"m\.npz: cannot be read as a model file"):
        read(path)


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.npz"
    monkeypatch.setattr("recommender.model_file.FORMAT", 9)
    save(path, ModelFile(Popularity(TRAIN), TRAIN, "popularity", "tiny", (0.5, 5.0)))
    monkeypatch.undo()

    with pytest.raises(InvalidData, match="of format 9, which a newer version has written"):
        read(path)


def test_people_and_items_that_came_later() -> None:
    more = generate(60, 45, 500, seed=3)
    split = Split.of(DATA, more)
    model = Extended(Popularity(TRAIN), TRAIN, split)
    new_user, new_item = len(TRAIN.user_ids), len(TRAIN.item_ids)
    silent = Extended(factors(None, "nan"), TRAIN, split)
    assert np.isnan(silent.predict(np.array([new_user]), np.array([0]))).all()
    assert (new_user, new_item) == (split.n_train_users, split.n_train_items)

    scores = model.scores(np.array([0, new_user], np.int32))

    assert scores.shape == (2, len(split.item_ids))
    assert (scores[:, new_item:] == -np.inf).all()
    assert scores[1, :new_item].tolist() == np.bincount(TRAIN.items).tolist()
    assert model.predict(np.array([new_user]), np.array([0])) == pytest.approx(DATA.ratings.mean())
