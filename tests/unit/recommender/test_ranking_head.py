"""The ranking head and fold-in against their formulas, worked out in other ways."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from recommender import ranking_head
from recommender.fold_in import REGULARIZATION, UNRATED_WEIGHT, fold_in, gram
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.ranking_head import RankingStep, corrections, weights
from recommender.rows import RowFormat, Rows

SCALE = (0.5, 5.0)


def rows(vectors: list[list[float]]) -> Rows:
    made = Rows.empty(len(vectors), RowFormat(rank=1, ranking_rank=len(vectors[0])))
    made.ranking[:] = vectors
    made.n[:] = 1
    return made


def codes(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_a_rating_s_weight_goes_by_its_share_of_the_scale() -> None:
    ratings = np.float32([0.5, 2.5, 3.0, 3.5, 4.0, 5.0])
    np.testing.assert_allclose(weights(ratings, *SCALE), [0.1, 0.1, 0.5, 0.5, 1.0, 1.0])
    np.testing.assert_allclose(weights(ratings * 20, 10, 100), [0.1, 0.1, 0.5, 0.5, 1.0, 1.0])


def test_a_popular_candidate_counts_less() -> None:
    # p = 0.5 and 0.01 of 100 ratings, batches of 2: seen with 0.75 and 0.0199
    inverse = np.array([1 / 0.75, 1 / 0.0199])
    np.testing.assert_allclose(
        corrections(np.array([50, 1], np.int32), 100, 2), inverse / inverse.mean(), rtol=1e-5
    )
    assert corrections(np.array([10**6, *[1] * 99], np.int32), 10**6, 10).max() <= 10


def test_one_rating_and_one_negative_by_hand() -> None:
    users, items = rows([[1.0, 0.0]]), rows([[0.5, 0.5], [0.2, 0.0]])
    step = RankingStep(learning_rate=0.1, regularization=0.01, negatives=1, negative_weight=0.3)
    ranking_head.learn(
        codes(0), codes(0), np.float32([5.0]), codes(1), 2, users, items, step, SCALE, key=1
    )
    # rated: e = 1 - 0.5; g_Q = 0.5 V - 0.01 Q = (0.495, -0.005), Σ‖g‖²/2
    g = np.array([0.495, -0.005])
    np.testing.assert_allclose(
        items.ranking[0], [0.5, 0.5] + 0.1 / np.sqrt((g @ g) / 2 + 1e-6) * g, rtol=1e-5
    )
    assert items.step[0] == pytest.approx((g @ g) / 2)
    # negative: its correction is 1 (it is the only one), e = -0.3 · 0.2
    g = np.array([-0.06, 0.0])
    np.testing.assert_allclose(
        items.ranking[1], [0.2, 0.0] + 0.1 / np.sqrt((g @ g) / 2 + 1e-6) * g, atol=1e-5
    )
    # user: e Q of both from their old values, less 0.01 V
    g = np.array([0.5 * 0.5 - 0.06 * 0.2 - 0.01, 0.5 * 0.5])
    np.testing.assert_allclose(
        users.ranking[0], [1.0, 0.0] + 0.1 / np.sqrt((g @ g) / 2 + 1e-6) * g, rtol=1e-5
    )


def test_balance_weighs_whatever_is_learned_of_a_user() -> None:
    """400 ratings and τ = 0.5: half of the gradients of the rating and negative above."""
    users, items = rows([[1.0, 0.0]]), rows([[0.5, 0.5], [0.2, 0.0]])
    users.n[:] = 400
    step = RankingStep(0.1, 0.01, negatives=1, negative_weight=0.3, balance=0.5)
    ranking_head.learn(
        codes(0), codes(0), np.float32([5.0]), codes(1), 2, users, items, step, SCALE, key=1
    )
    rated, negative = np.array([0.495, -0.005]) / 2, np.array([-0.06, 0.0]) / 2
    user = np.array([0.5 * 0.5 - 0.06 * 0.2 - 0.01, 0.5 * 0.5]) / 2
    for found, g in (
        (items.step[0], rated),
        (items.step[1], negative),
        (users.step[0], user),
    ):
        assert found == pytest.approx((g @ g) / 2, rel=1e-5)
    np.testing.assert_allclose(
        users.ranking[0], [1.0, 0.0] + 0.1 / np.sqrt((user @ user) / 2 + 1e-6) * user, rtol=1e-5
    )


def test_what_the_user_has_rated_is_no_negative() -> None:
    users, items = rows([[1.0]]), rows([[0.5], [0.5]])
    step = RankingStep(learning_rate=0.1, regularization=0.0, negatives=50, negative_weight=5.0)
    before = items.ranking.copy()
    ranking_head.learn(
        codes(0, 0), codes(0, 1), np.float32([5, 5]), codes(0, 1), 2, users, items, step, SCALE, 7
    )
    assert (items.ranking > before).all()


def test_the_rating_head_does_not_see_the_ranking_head() -> None:
    random = np.random.default_rng(0)
    ids = pa.array([str(one) for one in range(30)])
    models = [MemoryModel(ids, ids, ModelSettings(ranking_rank=rank)) for rank in (0, 16)]
    for _ in range(4):
        batch = (
            random.integers(0, 30, 50).astype(np.int32),
            random.integers(0, 30, 50).astype(np.int32),
            random.integers(1, 11, 50).astype(np.float32) / 2,
        )
        for model in models:
            model.learn(*batch)
    np.testing.assert_array_equal(models[0].item_rows.factors, models[1].item_rows.factors)
    np.testing.assert_array_equal(models[0].user_rows.bias, models[1].user_rows.bias)


def test_two_groups_of_taste_are_told_apart() -> None:
    """Users of even number rate even items: at the end they are shown even items they lack."""
    random = np.random.default_rng(5)
    users = random.integers(0, 40, 3000)
    items = random.integers(0, 30, 3000) * 2 + users % 2
    ids = pa.array([str(one) for one in range(60)])
    model = MemoryModel(ids, ids, ModelSettings(ranking_rank=8))
    for start in range(0, 3000, 100):
        part = slice(start, start + 100)
        model.learn(
            users[part].astype(np.int32), items[part].astype(np.int32), np.full(100, 5, np.float32)
        )
    best = model.scores(np.arange(40, dtype=np.int32)).argsort(axis=1)[:, -10:]
    assert (best % 2 == np.arange(40)[:, None] % 2).mean() > 0.98


def test_fold_in_solves_the_weighted_least_squares() -> None:
    """The same minimum by a general least-squares solver over one equation for every item."""
    random = np.random.default_rng(2)
    factors = random.normal(size=(50, 6)).astype(np.float32)
    rated, wanted = np.array([3, 8, 21]), np.float32([1.0, 0.5, 0.1])
    weight = np.full(50, UNRATED_WEIGHT)
    weight[rated] = wanted
    target = np.zeros(50)
    target[rated] = 1
    ridge = REGULARIZATION * (len(rated) + UNRATED_WEIGHT * 50)
    equations = np.vstack([factors * np.sqrt(weight)[:, None], np.sqrt(ridge) * np.eye(6)])
    values = np.concatenate([target * np.sqrt(weight), np.zeros(6)])
    expected, *_ = np.linalg.lstsq(equations, values, rcond=None)
    folded = fold_in(factors[rated], wanted, gram(factors), 50)
    np.testing.assert_allclose(folded, expected, rtol=1e-3, atol=1e-5)


def test_nobody_s_ratings_fold_to_nothing() -> None:
    assert not fold_in(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.eye(4), 9).any()
