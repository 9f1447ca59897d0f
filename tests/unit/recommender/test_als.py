"""ALS against the normal equations solved row by row, and against the truth."""

from __future__ import annotations

import numpy as np
import pytest

from recommender.als import als


def ridge(values: np.ndarray, known: np.ndarray, fixed: np.ndarray, lam: float) -> np.ndarray:
    """Each row alone, by ordinary least squares with √(λn) rows appended for the ridge."""
    rank = fixed.shape[1]
    rows = []
    for row, mask in zip(values, known, strict=True):
        tall = np.vstack([fixed[mask], np.sqrt(lam * mask.sum()) * np.eye(rank)])
        rows.append(np.linalg.lstsq(tall, np.append(row[mask], np.zeros(rank)), rcond=None)[0])
    return np.array(rows)


@pytest.fixture
def gaps() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    ratings = random.normal(3, 1, (30, 20))
    known = random.random((30, 20)) < 0.5
    known[4] = False  # a user without a rating
    known[:, 7] = False
    return np.where(known, ratings, np.nan), known


def test_each_side_is_the_ridge_solution_given_the_other(gaps) -> None:
    ratings, known = gaps
    first = np.random.default_rng(1).normal(0, 1 / np.sqrt(3), (20, 3))

    users, items = als(ratings, known, rank=3, iterations=1, regularization=0.2, seed=1)

    np.testing.assert_allclose(users, ridge(ratings, known, first, 0.2), atol=1e-9)
    np.testing.assert_allclose(items, ridge(ratings.T, known.T, users, 0.2), atol=1e-9)
    assert (users[4] == 0).all()
    assert (items[7] == 0).all()


def test_each_iteration_lowers_what_it_minimises(gaps) -> None:
    ratings, known = gaps

    def objective(iterations: int) -> float:
        users, items = als(
            ratings, known, rank=3, iterations=iterations, regularization=0.1, seed=2
        )
        error = np.square((ratings - users @ items.T)[known]).sum()
        of_users = (known.sum(axis=1) * np.square(users).sum(axis=1)).sum()
        of_items = (known.sum(axis=0) * np.square(items).sum(axis=1)).sum()
        return float(error + 0.1 * (of_users + of_items))

    values = [objective(n) for n in (1, 2, 4, 8, 16)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.9 * values[0]


def test_a_matrix_of_low_rank_is_completed() -> None:
    random = np.random.default_rng(3)
    truth = random.normal(size=(60, 2)) @ random.normal(size=(2, 50))
    known = random.random(truth.shape) < 0.4

    users, items = als(truth, known, rank=2, iterations=60, regularization=1e-6, seed=1)

    np.testing.assert_allclose((users @ items.T)[~known], truth[~known], atol=1e-2)
