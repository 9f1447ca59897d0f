"""Fold-in: a user's ranking vector solved from that user's own ratings, when it is read.

Better than the streamed vector, and the same formula serves people who have no row. V_x minimises

    Σ_rated w_j (1 - V · Q_j)² + w₀ Σ_unrated (V · Q_z)² + λ_x ‖V‖²

which is linear: ``V_x = A⁻¹ Σ w_j Q_j`` with ``A = w₀ G + Σ_rated (w_j - w₀) Q_j Q_jᵀ + λ_x I``,
G the Gram matrix ``Σ Q Qᵀ`` of all rated items. λ_x is scaled by frequency: λ times the weight of
all that the sums are over (Rendle et al., 2021, "Revisiting the performance of iALS").
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recommender.rows import Floats

UNRATED_WEIGHT = 0.5
"""w₀: how firmly an item that was not rated is taken for one of no interest."""

REGULARIZATION = 0.003
"""λ."""


def gram(item_factors: Floats) -> npt.NDArray[np.float32]:
    """G of some items' factors, ``(k, k)``, from ``(n_items, k)``."""
    product: npt.NDArray[np.float32] = item_factors.T @ item_factors
    return product


def fold_in(rated: Floats, weights: Floats, gram_matrix: Floats, n_items: int) -> Floats:
    """V_x from a user's ratings.

    Parameters
    ----------
    rated : (n_rated, k) float32
        Q of the items that the user has rated.
    weights : (n_rated,) float32
        w_j of those ratings (`recommender.ranking_head.weights`).
    gram_matrix : (k, k) float32
    n_items : int
        Items that the Gram matrix is over.

    Returns
    -------
    (k,) float32
        Zeros where nothing has been rated.
    """
    if not len(rated):
        return np.zeros(gram_matrix.shape[0], np.float32)
    scaled = REGULARIZATION * (len(rated) + UNRATED_WEIGHT * n_items)
    matrix = UNRATED_WEIGHT * gram_matrix + (rated * (weights - UNRATED_WEIGHT)[:, None]).T @ rated
    matrix.flat[:: len(matrix) + 1] += scaled
    solved: Floats = np.linalg.solve(matrix, rated.T @ weights).astype(np.float32)
    return solved
