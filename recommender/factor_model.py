"""Recommending by user and item factors alone, as alternating least squares (ALS) learns them.

Explicit: ``r̂(x,y) = U_x · P_y``, least squares over the ratings given, with ``λ n_x ‖U_x‖²``
(Zhou et al., 2008). Implicit: ``U_x · P_y`` is a preference, 1 for what was rated and 0 for the
rest, with confidence ``1 + α r`` (Hu, Koren and Volinsky, 2008); it ranks, and ratings are
predicted by μ + biases. Who is not in the model is folded in: the same least squares for one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np

from recommender.baselines import Biases
from recommender.datasets import IndexedRatings
from recommender.rating_head import Codes
from recommender.rows import Floats

ColdStart = Literal["drop", "nan"]
"""What becomes of a pair whose user or item is not in the training ratings; MLlib's names."""


@dataclass(frozen=True)
class Factors:
    """What ALS learns, and the settings that folding in needs.

    Parameters
    ----------
    users, items : numpy.ndarray of float32, shape (n_users, rank), (n_items, rank)
        By code; zeros where the training ratings have none.
    regularization : float
        λ.
    alpha : float or None
        α of the confidence; None for explicit ratings.
    """

    users: Floats
    items: Floats
    regularization: float
    alpha: float | None = None


class FactorModel:
    """A recommender from factors.

    Cold users get the most rated items. For cold pairs ALS has no prediction: by ``drop`` they get
    μ, since a method here answers for every pair (over the warm ones the errors are those of
    MLlib, which drops the others); by ``nan``, explicit ratings only, NaN.

    Parameters
    ----------
    factors : Factors
    train : IndexedRatings
    cold_start : {'drop', 'nan'}
    """

    kind: ClassVar[str] = "factors"

    def __init__(
        self, factors: Factors, train: IndexedRatings, cold_start: ColdStart = "drop"
    ) -> None:
        self._factors, self._cold_start = factors, cold_start
        self._baseline = Biases(train)
        self.cold_rating = np.float32(np.nan if cold_start == "nan" else train.ratings.mean())
        self._low, self._high = float(train.ratings.min()), float(train.ratings.max())
        self._counts = np.bincount(train.items, minlength=len(train.item_ids)).astype(np.float32)
        self._known = np.bincount(train.users, minlength=len(train.user_ids)) > 0

    def predict(self, users: Codes, items: Codes) -> Floats:
        """r̂ of each pair, within the ratings seen, ``(length,)``."""
        if self._factors.alpha is not None:
            return self._baseline.predict(users, items)
        predicted = np.einsum("ij,ij->i", self._factors.users[users], self._factors.items[items])
        cold = ~self._known[users] | (self._counts[items] == 0)
        predicted[cold] = self.cold_rating
        clipped: Floats = np.clip(predicted, self._low, self._high)  # NaN stays
        return clipped

    def scores(self, users: Codes) -> Floats:
        """U · P of every item for each user, ``(n_users, n_items)``."""
        scores: Floats = self._factors.users[users] @ self._factors.items.T
        scores[:, self._counts == 0] = -np.inf
        scores[~self._known[users]] = self._counts
        return scores

    def scores_for(self, items: Codes, ratings: Floats) -> Floats:
        """U · P of every item for somebody with these ratings, ``(n_items,)``."""
        scores: Floats = self._factors.items @ self._folded_in(items, ratings)
        scores[self._counts == 0] = -np.inf
        return scores

    def state(self) -> dict[str, Any]:
        """What a model file has to keep besides the ratings."""
        factors = self._factors
        return {
            "users": factors.users,
            "items": factors.items,
            "regularization": np.array(factors.regularization),
            "alpha": np.array(np.nan if factors.alpha is None else factors.alpha),
            "cold_start": np.array(self._cold_start),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], train: IndexedRatings) -> Self:
        """The model of a file."""
        alpha = float(state["alpha"])
        regularization = float(state["regularization"])
        return cls(
            Factors(
                state["users"], state["items"], regularization, None if np.isnan(alpha) else alpha
            ),
            train,
            cast(ColdStart, str(state.get("cold_start", "drop"))),  # older files have none
        )

    def _folded_in(self, items: Codes, ratings: Floats) -> Floats:
        own = self._factors.items[items].astype(np.float64)
        alpha = self._factors.alpha
        if alpha is None:
            matrix, target = own.T @ own, own.T @ ratings
        else:
            everything = self._factors.items.astype(np.float64)
            matrix = everything.T @ everything + (own * (alpha * ratings)[:, None]).T @ own
            target = own.T @ (1 + alpha * ratings)
        matrix.flat[:: len(matrix) + 1] += self._factors.regularization * len(items)
        solved: Floats = np.linalg.solve(matrix, target).astype(np.float32)
        return solved
