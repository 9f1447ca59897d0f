"""EASE: a linear model from items to items with a closed form, for small catalogues.

Of all matrices B with an empty diagonal the one that minimises ``‖X - X B‖² + λ‖B‖²``, X being
users by items (Steck, 2019, "Embarrassingly shallow autoencoders for sparse data")::

    P = (Xᵀ X + λ I)⁻¹      B_jy = -P_jy / P_yy,  B_yy = 0      s(x,y) = X_x · B_y

The inverse takes n_items³ operations and n_items² numbers; where there are fewer users than items
it is had from theirs: ``P = (I - Xᵀ (X Xᵀ + λ I)⁻¹ X) / λ`` (Woodbury).
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from recommender.baselines import Biases
from recommender.datasets import IndexedRatings
from recommender.errors import InvalidInput
from recommender.interactions import one_person, weighted
from recommender.rating_head import Codes
from recommender.rows import Floats
from recommender.settings import Settings

LARGEST_CATALOGUE = 20_000
"""Items: the matrix then has 1.6 GB, and so much again while it is worked out."""


class EaseSettings(Settings):
    """Settings of EASE."""

    ease_regularization: float = Field(
        200.0, gt=0, description="λ of EASE, in ratings: more for fewer users."
    )


class Ease:
    """EASE, trained. Predicts ratings by μ + biases: its scores are no ratings.

    Parameters
    ----------
    matrix : numpy.ndarray of float32, shape (n_items, n_items)
        B.
    train : IndexedRatings
        What users have rated.
    """

    kind: ClassVar[str] = "ease"

    def __init__(self, matrix: Floats, train: IndexedRatings) -> None:
        self._matrix = matrix
        self._weights = weighted(train)
        self._baseline = Biases(train)
        self._low, self._high = float(train.ratings.min()), float(train.ratings.max())

    def predict(self, users: Codes, items: Codes) -> Floats:
        """μ + b_x + b_y of each pair, ``(length,)``."""
        return self._baseline.predict(users, items)

    def scores(self, users: Codes) -> Floats:
        """s of every item for each user, ``(n_users, n_items)``."""
        return np.asarray(self._weights[users] @ self._matrix, np.float32)

    def scores_for(self, items: Codes, ratings: Floats) -> Floats:
        """s of every item for somebody with these ratings, ``(n_items,)``."""
        person = one_person(items, ratings, self._low, self._high, len(self._matrix))
        scores: Floats = np.asarray(person @ self._matrix, np.float32)[0]
        return scores

    def state(self) -> dict[str, Any]:
        """What a model file has to keep besides the ratings."""
        return {"matrix": self._matrix}

    @classmethod
    def from_state(cls, state: dict[str, Any], train: IndexedRatings) -> Self:
        """The model of a file."""
        return cls(state["matrix"], train)


def ease(train: IndexedRatings, regularization: float) -> Ease:
    """Work out B.

    Parameters
    ----------
    train : IndexedRatings
    regularization : float
        λ.

    Raises
    ------
    InvalidInput
        If the catalogue is larger than `LARGEST_CATALOGUE`.
    """
    n_items = len(train.item_ids)
    if n_items > LARGEST_CATALOGUE:
        raise InvalidInput("items", n_items, f"at most {LARGEST_CATALOGUE} for EASE")
    inverse = _inverse(weighted(train), np.float32(regularization))
    inverse /= -inverse.diagonal().copy()
    np.fill_diagonal(inverse, 0)
    return Ease(inverse, train)


def _inverse(weights: Any, regularization: np.float32) -> Floats:
    """P, ``(n_items, n_items)`` float32."""
    n_users, n_items = weights.shape
    if n_users >= n_items:
        gram = (weights.T @ weights).toarray()
        gram.flat[:: n_items + 1] += regularization
        return _inverted(gram)
    small = (weights @ weights.T).toarray()
    small.flat[:: n_users + 1] += regularization
    dense = weights.toarray()
    inverse: Floats = dense.T @ (_inverted(small) @ dense)
    inverse *= -1 / regularization
    inverse.flat[:: n_items + 1] += 1 / regularization
    return inverse


def _inverted(matrix: Floats) -> Floats:
    """Inverse of a symmetric positive definite matrix, by Cholesky."""
    import scipy.linalg  # half a second, which every start of the modeler would wait

    factor = scipy.linalg.cho_factor(matrix, lower=True)
    identity = np.eye(len(matrix), dtype=np.float32)
    inverse: Floats = scipy.linalg.cho_solve(factor, identity, overwrite_b=True)
    return inverse
