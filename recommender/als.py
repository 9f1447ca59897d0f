"""Alternating least squares for a matrix that fits in memory whole, with gaps.

For pictures of ratings and as a yardstick in tests; Spark's ALS (`modeler.als`) is for ratings in
bulk. Both minimise the same sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.floating[Any]]
Known = npt.NDArray[np.bool_]


def als(
    ratings: Matrix,
    known: Known,
    *,
    rank: int,
    iterations: int,
    regularization: float,
    seed: int,
) -> tuple[Matrix, Matrix]:
    """Factorise the known part of a matrix.

    Minimises ``Σ_known (r − U_x · P_y)² + λ (Σ_x n_x |U_x|² + Σ_y n_y |P_y|²)`` by solving for all
    U with P held fixed, then for all P with U held fixed, and so on; n counts the known ratings of
    a row or column (Zhou et al., 2008, "Large-scale parallel collaborative filtering for the
    Netflix Prize"; Spark weighs λ the same way).

    Parameters
    ----------
    ratings : (n_users, n_items) float64
        What stands where `known` is false is not looked at.
    known : (n_users, n_items) bool
    rank : int
    iterations : int
        Solutions of both sides.
    regularization : float
        λ.
    seed : int
        Of the first factors of the items.

    Returns
    -------
    users : (n_users, rank) float64
    items : (n_items, rank) float64
        Rows and columns without a known rating are 0.
    """
    weights = known.astype(np.float64)
    values = np.where(known, ratings, 0.0)
    items: Matrix = np.random.default_rng(seed).normal(
        0, 1 / np.sqrt(rank), (ratings.shape[1], rank)
    )
    users: Matrix = np.zeros((ratings.shape[0], rank))
    for _ in range(iterations):
        users = _solve(values, weights, items, regularization)
        items = _solve(values.T, weights.T, users, regularization)
    return users, items


def _solve(values: Matrix, weights: Matrix, fixed: Matrix, regularization: float) -> Matrix:
    """Each row's least squares, ``(n_rows, rank)``: the normal equations of all rows at once."""
    rank = fixed.shape[1]
    outer = (fixed[:, :, None] * fixed[:, None, :]).reshape(len(fixed), rank * rank)
    left = (weights @ outer).reshape(len(values), rank, rank)
    count = weights.sum(axis=1)
    # A row without ratings: any invertible matrix gives the 0 that its right side asks for.
    ridge = np.where(count > 0, regularization * count, 1.0)
    left += ridge[:, None, None] * np.eye(rank)
    solved: Matrix = np.linalg.solve(left, (values @ fixed)[:, :, None])[:, :, 0]
    return solved
