"""Fold-in: a person's vectors solved from that person's own ratings, when they are read.

The ranking vector is better than the streamed one, and the same formula serves people who have no
row. V_x minimises

    Σ_rated w_j (1 - V · Q_j)² + w₀ Σ_unrated (V · Q_z)² + λ_x ‖V‖²

which is linear: ``V_x = A⁻¹ Σ w_j Q_j`` with ``A = w₀ G + Σ_rated (w_j - w₀) Q_j Q_jᵀ + λ_x I``,
G the Gram matrix ``Σ Q Qᵀ`` of all rated items. λ_x is scaled by frequency: λ times the weight of
all that the sums are over (Rendle et al., 2021, "Revisiting the performance of iALS"). Since V_x is
a sum over ratings, so is every score ``V_x · Q_i``: see `contributions`.

For people without a row the rating head is solved, too: `fold_in_rating`.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from recommender.rows import Floats

Doubles = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]

UNRATED_WEIGHT = 0.5
"""w₀: how firmly an item that was not rated is taken for one of no interest."""

REGULARIZATION = 0.003
"""λ."""

BIAS_REGULARIZATION = 4.0
"""λ_b, of a folded-in bias: with four ratings it is half their mean deviation."""

TASTE_REGULARIZATION = 4.0
"""λ_U, of folded-in factors, for each star of the scale; both measured: docs/model.md."""

_FEW_RATED = 128
"""Ratings up to which one compiled loop is sooner done than a copy of their rows and BLAS."""


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
    return fold_in_at(rated, np.arange(len(rated)), weights, gram_matrix, n_items)


def fold_in_at(
    vectors: Floats, places: Positions, weights: Floats, gram_matrix: Floats, n_items: int
) -> Floats:
    """The same where the rated items' vectors are among those of all items.

    Parameters
    ----------
    vectors : (n_vectors, k) float32
        Q.
    places : (n_rated,) intp
        Rows of the items that the user has rated.
    weights, gram_matrix, n_items
        As for `fold_in`.
    """
    if not len(places):
        return np.zeros(gram_matrix.shape[0], np.float32)
    if len(places) <= _FEW_RATED:
        solved = np.empty(len(gram_matrix), np.float32)
        shrinkage = _shrinkage(len(places), n_items)
        definite = _fold_in(vectors, places, weights, gram_matrix, shrinkage, solved)
    else:
        rated = vectors.take(places, axis=0)
        solved = np.asarray(weights @ rated, np.float32)
        definite = _solve(_matrix(rated, weights, gram_matrix, n_items), solved)
    if not definite:
        # A Gram matrix that does not hold the rated items leaves A without a Cholesky factor.
        rated = vectors.take(places, axis=0)
        matrix = _matrix(rated, weights, gram_matrix, n_items)
        solved = np.linalg.solve(matrix, weights @ rated).astype(np.float32)
    return solved


def contributions(
    items: Floats, rated: Floats, weights: Floats, gram_matrix: Floats, n_items: int
) -> Doubles:
    """What each rating adds to the scores of some items: ``Q_i · A⁻¹ w_j Q_j``.

    Parameters
    ----------
    items : (m, k) float32
        Q of the items in question.
    rated, weights, gram_matrix, n_items
        As for `fold_in`.

    Returns
    -------
    (m, n_rated) float64
        Each row's sum is ``V_x · Q_i``, exactly but for rounding.
    """
    if not len(rated):
        return np.zeros((len(items), 0))
    matrix = _matrix(rated, weights, gram_matrix, n_items)
    # A is symmetric, so the solution for the m items serves all ratings.
    solved = np.linalg.solve(matrix.astype(np.float64), items.T.astype(np.float64))
    added: Doubles = np.asarray(solved.T @ (rated * weights[:, None]).T, np.float64)
    return added


@numba.njit(
    ["boolean(float32[:, ::1], float32[::1])", "boolean(float64[:, ::1], float64[::1])"],
    cache=True,
    fastmath={"reassoc", "contract", "nsz"},
    nogil=True,
)
def _solve(matrix: Floats | Doubles, vector: Floats | Doubles) -> bool:
    """Solve ``A x = b`` by Cholesky, for a symmetric A; both are overwritten. False: indefinite.

    A vector of so few numbers is solved for in a third of the time that LAPACK's LU takes, called
    from Python. ``A = Uᵀ U`` row by row, so that the innermost loops run along rows: along views of
    them, which the compiler turns into vector instructions, and a place in the matrix not. Of A
    only the upper half is read.
    """
    k = len(vector)
    for i in range(k):
        row = matrix[i, i:]
        p = 0
        while p + 4 <= i:  # four at a time: A's row is loaded and stored a fourth as often
            a, b, c, d = matrix[p, i], matrix[p + 1, i], matrix[p + 2, i], matrix[p + 3, i]
            u0, u1, u2, u3 = matrix[p, i:], matrix[p + 1, i:], matrix[p + 2, i:], matrix[p + 3, i:]
            for j in range(len(row)):
                row[j] -= a * u0[j] + b * u1[j] + c * u2[j] + d * u3[j]
            vector[i] -= a * vector[p] + b * vector[p + 1] + c * vector[p + 2] + d * vector[p + 3]
            p += 4
        while p < i:
            a, u0 = matrix[p, i], matrix[p, i:]
            for j in range(len(row)):
                row[j] -= a * u0[j]
            vector[i] -= a * vector[p]
            p += 1
        if not row[0] > 0:
            return False
        scale = np.sqrt(row[0]) / row[0]  # as 1 / √, but of the matrix's own type
        for j in range(len(row)):
            row[j] *= scale
        vector[i] *= scale
    for i in range(k - 1, -1, -1):
        found = vector[i]
        for j in range(i + 1, k):
            found -= matrix[i, j] * vector[j]
        vector[i] = found / matrix[i, i]
    return True


_GIVEN = numba.types.Array
_GIVEN_MATRIX = _GIVEN(numba.float32, 2, "C", readonly=True)
_GIVEN_VECTOR = _GIVEN(numba.float32, 1, "C", readonly=True)


@numba.njit(
    numba.boolean(
        _GIVEN_MATRIX,
        _GIVEN(numba.intp, 1, "C", readonly=True),
        _GIVEN_VECTOR,
        _GIVEN_MATRIX,
        numba.float32,
        numba.float32[::1],
    ),
    cache=True,
    fastmath={"reassoc", "contract", "nsz"},
    nogil=True,
)
def _fold_in(
    vectors: Floats,
    places: Positions,
    weights: Floats,
    gram_matrix: Floats,
    shrinkage: float,
    solved: Floats,
) -> bool:
    """Make the upper half of A, and b, in one go, without a copy of the rated rows; then solve."""
    k = len(solved)
    unrated = np.float32(UNRATED_WEIGHT)
    matrix = np.empty((k, k), np.float32)
    for f in range(k):
        row, products = matrix[f, f:], gram_matrix[f, f:]
        for g in range(len(row)):
            row[g] = unrated * products[g]
        row[0] += shrinkage
        solved[f] = 0
    j = 0
    while j + 4 <= len(places):  # four at a time, as in `_solve`
        q0, q1, q2, q3 = (
            vectors[places[j]],
            vectors[places[j + 1]],
            vectors[places[j + 2]],
            vectors[places[j + 3]],
        )
        w0, w1, w2, w3 = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        for f in range(k):
            solved[f] += w0 * q0[f] + w1 * q1[f] + w2 * q2[f] + w3 * q3[f]
            a, b = (w0 - unrated) * q0[f], (w1 - unrated) * q1[f]
            c, d = (w2 - unrated) * q2[f], (w3 - unrated) * q3[f]
            row, r0, r1, r2, r3 = matrix[f, f:], q0[f:], q1[f:], q2[f:], q3[f:]
            for g in range(len(row)):
                row[g] += a * r0[g] + b * r1[g] + c * r2[g] + d * r3[g]
        j += 4
    while j < len(places):
        q0, w0 = vectors[places[j]], weights[j]
        for f in range(k):
            solved[f] += w0 * q0[f]
            a, row, r0 = (w0 - unrated) * q0[f], matrix[f, f:], q0[f:]
            for g in range(len(row)):
                row[g] += a * r0[g]
        j += 1
    return bool(_solve(matrix, solved))


def _shrinkage(n_rated: int, n_items: int) -> float:
    """λ_x."""
    return REGULARIZATION * (n_rated + UNRATED_WEIGHT * n_items)


def _matrix(rated: Floats, weights: Floats, gram_matrix: Floats, n_items: int) -> Floats:
    """A."""
    beside = (weights - np.float32(UNRATED_WEIGHT))[:, None]
    matrix = np.asarray(UNRATED_WEIGHT * gram_matrix + (rated * beside).T @ rated, np.float32)
    matrix.flat[:: len(matrix) + 1] += _shrinkage(len(rated), n_items)
    return matrix


def fold_in_rating(rated: Floats, residuals: Floats, unit: float) -> tuple[float, Floats]:
    """b_x and U_x of somebody without a row: ridge regression on the person's own ratings.

    Minimises ``Σ (d_j - b - U · P_j)² + λ_b b² + λ_U ‖U‖²`` over both.

    Parameters
    ----------
    rated : (n_rated, rank) float32
        P of the rated items.
    residuals : (n_rated,) float32
        d_j: rating less μ and the item's bias.
    unit : float
        Rating units to one star of MovieLens (`recommender.rating_head.scale_unit`): factors are
        in √(rating units), and so is what holds them small.

    Returns
    -------
    (float, (rank,) float32)
        Zeros where nothing has been rated.
    """
    if not len(rated):
        return 0.0, np.zeros(rated.shape[1], np.float32)
    wide = np.column_stack([np.ones(len(rated)), rated]).astype(np.float64)
    matrix = wide.T @ wide
    matrix.flat[:: len(matrix) + 1] += [
        BIAS_REGULARIZATION,
        *np.full(rated.shape[1], TASTE_REGULARIZATION * unit),
    ]
    solved = residuals @ wide
    _solve(matrix, solved)  # definite: what it is regularised with is more than 0
    return float(solved[0]), solved[1:].astype(np.float32)
