"""Fold-in against least squares solved by numpy on the written-out equations."""

from __future__ import annotations

import numpy as np
import pytest

from recommender.fold_in import (
    BIAS_REGULARIZATION,
    REGULARIZATION,
    TASTE_REGULARIZATION,
    UNRATED_WEIGHT,
    contributions,
    fold_in,
    fold_in_at,
    fold_in_rating,
    gram,
)

RANDOM = np.random.default_rng(3)
ITEMS = RANDOM.normal(size=(40, 6)).astype(np.float32)
RATED = np.array([3, 17, 30])
WEIGHTS = np.array([1.0, 0.5, 0.1], np.float32)


def solved_plainly() -> np.ndarray:
    """Every term of the sum as one row of a least squares problem."""
    weight = np.full(len(ITEMS), UNRATED_WEIGHT)
    weight[RATED] = WEIGHTS
    target = np.zeros(len(ITEMS))
    target[RATED] = 1
    ridge = REGULARIZATION * (len(RATED) + UNRATED_WEIGHT * len(ITEMS))
    rows = np.vstack([ITEMS * np.sqrt(weight)[:, None], np.sqrt(ridge) * np.eye(6)])
    return np.linalg.lstsq(rows, np.concatenate([target * np.sqrt(weight), np.zeros(6)]))[0]


def test_the_ranking_vector_solves_its_least_squares_problem() -> None:
    found = fold_in(ITEMS[RATED], WEIGHTS, gram(ITEMS), len(ITEMS))
    np.testing.assert_allclose(found, solved_plainly(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n_rated", [1, 4, 7, 128, 129, 300])
def test_few_and_many_ratings_give_the_same_vector_wherever_the_rows_are(n_rated: int) -> None:
    drawn = np.random.default_rng(n_rated)
    items = drawn.normal(0, 0.3, (400, 20)).astype(np.float32)
    places = drawn.choice(400, n_rated, replace=False)
    weights = drawn.choice([0.1, 0.5, 1.0], n_rated).astype(np.float32)
    rated = items[places].astype(np.float64)
    matrix = UNRATED_WEIGHT * items.T.astype(np.float64) @ items
    matrix += (rated * (weights - UNRATED_WEIGHT)[:, None]).T @ rated
    matrix += REGULARIZATION * (n_rated + UNRATED_WEIGHT * len(items)) * np.eye(20)
    expected = np.linalg.solve(matrix, weights @ rated)

    for found in (
        fold_in(items[places], weights, gram(items), len(items)),
        fold_in_at(items, places, weights, gram(items), len(items)),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_contributions_add_up_to_the_score_and_are_each_ratings_own() -> None:
    added = contributions(ITEMS[:5], ITEMS[RATED], WEIGHTS, gram(ITEMS), len(ITEMS))
    assert added.shape == (5, 3)
    np.testing.assert_allclose(added.sum(axis=1), ITEMS[:5] @ solved_plainly(), rtol=1e-4)
    # A is the same whatever the target: with the target of one rating alone, its share remains.
    matrix = UNRATED_WEIGHT * ITEMS.T.astype(float) @ ITEMS
    for place, weight in zip(RATED, WEIGHTS, strict=True):
        matrix += (weight - UNRATED_WEIGHT) * np.outer(ITEMS[place], ITEMS[place])
    matrix += REGULARIZATION * (3 + UNRATED_WEIGHT * len(ITEMS)) * np.eye(6)
    alone = ITEMS[:5] @ np.linalg.inv(matrix) @ (WEIGHTS[1] * ITEMS[RATED[1]])
    np.testing.assert_allclose(added[:, 1], alone, rtol=1e-4)


def test_bias_and_factors_solve_their_ridge_regression() -> None:
    residuals = np.array([1.0, -0.5, 2.0], np.float32)
    bias, factors = fold_in_rating(ITEMS[RATED], residuals, unit=2.0)
    penalty = np.diag(np.sqrt([BIAS_REGULARIZATION, *[2 * TASTE_REGULARIZATION] * 6]))
    rows = np.vstack([np.column_stack([np.ones(3), ITEMS[RATED]]), penalty])
    expected = np.linalg.lstsq(rows, np.concatenate([residuals, np.zeros(7)]))[0]
    np.testing.assert_allclose([bias, *factors], expected, rtol=1e-5)


def test_nobody_has_no_taste() -> None:
    none = ITEMS[:0]
    assert not fold_in(none, WEIGHTS[:0], gram(ITEMS), 40).any()
    assert contributions(ITEMS[:2], none, WEIGHTS[:0], gram(ITEMS), 40).shape == (2, 0)
    bias, factors = fold_in_rating(none, np.zeros(0, np.float32), 1.0)
    assert bias == 0
    assert not factors.any()


def test_an_indefinite_system_is_solved_too() -> None:
    # An item that the Gram matrix does not have, rated low: its weight below that of the unrated
    # makes A = 0.003 (1 + 0.5 · 0) I + (0.1 - 0.5) Q Qᵀ, negative along Q.
    rated = np.array([[1.0, 2.0]], np.float32)
    weights = np.array([0.1], np.float32)
    matrix = 0.003 * np.eye(2) - 0.4 * rated.T.astype(np.float64) @ rated
    expected = np.linalg.solve(matrix, 0.1 * rated[0].astype(np.float64))

    found = fold_in(rated, weights, np.zeros((2, 2), np.float32), 0)

    np.testing.assert_allclose(found, expected, rtol=1e-4)
