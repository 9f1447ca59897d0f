"""Item KNN, EASE and factors by their definitions, worked out plainly."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from recommender.baselines import Biases
from recommender.datasets import IndexedRatings
from recommender.ease import ease
from recommender.errors import InvalidInput
from recommender.factor_model import FactorModel, Factors
from recommender.generate import generate
from recommender.interactions import by_user, weighted
from recommender.item_knn import Similarity, item_knn


def indexed(users: int, items: int, ratings: int) -> IndexedRatings:
    return generate(users, items, ratings, seed=8).indexed()


def test_the_last_rating_of_a_pair_holds() -> None:
    ids = pa.array(["a", "b"])
    two = (np.array([0, 1, 0], np.int32), np.array([1, 1, 1], np.int32))
    ratings = np.array([5, 3, 1], np.float32)
    train = IndexedRatings(*two, ratings, np.arange(3.0), ids, ids)

    assert by_user(train, ratings).toarray().tolist() == [[0, 1], [0, 3]]
    # From 1 to 5: 5 would weigh 1, 3 half a scale, 1 the least.
    assert weighted(train).toarray() == pytest.approx(np.array([[0, 0.1], [0, 0.1]]))


@pytest.mark.parametrize(("users", "items"), [(40, 60), (90, 30)])
def test_ease_solves_its_own_problem(users: int, items: int) -> None:
    train = indexed(users, items, 500)
    x = weighted(train).toarray().astype(float)
    inverse = np.linalg.inv(x.T @ x + 20.0 * np.eye(x.shape[1]))
    matrix = inverse / -np.diag(inverse)
    np.fill_diagonal(matrix, 0)

    model = ease(train, 20.0)

    everyone = np.arange(len(x), dtype=np.int32)
    assert model.scores(everyone) == pytest.approx(x @ matrix, abs=1e-4)
    own = train.users == 3
    assert model.scores_for(train.items[own], train.ratings[own]) == pytest.approx(
        (x @ matrix)[3], abs=1e-4
    )


def test_a_large_catalogue_is_not_for_ease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recommender.ease.LARGEST_CATALOGUE", 10)

    with pytest.raises(InvalidInput, match="at most 10 for EASE"):
        ease(indexed(40, 60, 500), 1.0)


@pytest.mark.parametrize("cells", [1 << 24, 100])
def test_knn_by_its_formulas(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recommender.item_knn._CELLS_AT_ONCE", cells)
    monkeypatch.setattr("recommender.item_knn._PAIRS_AT_ONCE", 7)
    train = indexed(50, 30, 300)
    x = weighted(train).toarray().astype(float)
    vectors = x / np.maximum(np.linalg.norm(x, axis=0), 1e-9)
    similar = vectors.T @ vectors
    np.fill_diagonal(similar, 0)
    near = np.where(similar >= np.sort(similar, axis=1)[:, [-4]], similar, 0)

    model = item_knn(train, Similarity.cosine, 4)

    everyone = np.arange(len(x), dtype=np.int32)
    assert model.scores(everyone) == pytest.approx(x @ near.T, abs=1e-4)
    baseline = Biases(train)
    rated = [
        (item, rating - baseline.predict(np.array([5]), np.array([item]))[0])
        for user, item, rating in zip(train.users, train.items, train.ratings, strict=True)
        if user == 5
    ]
    for item in range(30):
        above = sum(near[item, other] * rest for other, rest in rated)
        below = sum(near[item, other] for other, _ in rated)
        plain = baseline.predict(np.array([5]), np.array([item]))[0] + above / (below + 0.5)
        found = model.predict(np.array([5], np.int32), np.array([item], np.int32))[0]
        assert found == pytest.approx(np.clip(plain, 0.5, 5.0), abs=1e-4)


@pytest.mark.parametrize("alpha", [None, 2.0])
def test_folding_in_minimises_what_als_minimises(alpha: float | None) -> None:
    random = np.random.default_rng(3)
    train = indexed(30, 25, 150)
    items = random.normal(0, 1, (25, 4)).astype(np.float32)
    model = FactorModel(Factors(np.zeros((30, 4), np.float32), items, 0.1, alpha), train)
    own, given = np.array([2, 9, 11], np.int32), np.array([5, 1, 4], np.float32)
    rated = np.isin(np.arange(25), np.unique(train.items))

    scores = model.scores_for(own, given)
    u = np.linalg.lstsq(items[rated].astype(float), scores[rated], rcond=None)[0]

    def loss(vector: np.ndarray) -> float:
        found = items @ vector
        penalty = 0.1 * 3 * vector @ vector
        if alpha is None:
            return float(((given - found[own]) ** 2).sum() + penalty)
        target = np.isin(np.arange(25), own).astype(float)
        confidence = np.ones(25)
        confidence[own] += alpha * given
        return float((confidence * (target - found) ** 2).sum() + penalty)

    for direction in np.eye(4):
        assert loss(u) <= loss(u + 0.01 * direction)
        assert loss(u) <= loss(u - 0.01 * direction)


def test_cold_rows_of_a_factor_model() -> None:
    train = indexed(30, 25, 150)
    wider = IndexedRatings(
        train.users,
        train.items,
        train.ratings,
        train.timestamps,
        pa.array([*train.user_ids.to_pylist(), "new"]),
        pa.array([*train.item_ids.to_pylist(), "new"]),
    )
    n_users, n_items = len(wider.user_ids), len(wider.item_ids)
    factors = Factors(np.ones((n_users, 2), np.float32), np.ones((n_items, 2), np.float32), 0.1)

    model = FactorModel(factors, wider)

    cold = np.array([0, n_users - 1], np.int32), np.array([n_items - 1, 0], np.int32)
    assert model.predict(*cold) == pytest.approx([train.ratings.mean()] * 2)
    silent = FactorModel(factors, wider, "nan")
    assert np.isnan(silent.predict(*cold)).all()
    warm = train.users[:5], train.items[:5]
    assert silent.predict(*warm).tolist() == model.predict(*warm).tolist()
    scores = model.scores(np.array([0, n_users - 1], np.int32))
    assert scores[0, -1] == -np.inf
    assert scores[1, :-1].tolist() == np.bincount(train.items).tolist()
