"""The simplest recommenders: what any model has to beat, and references for the evaluation."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from recommender.datasets import IndexedRatings
from recommender.rating_head import Codes
from recommender.rows import Floats

DAMPING = 5.0  # ratings at the mean that every user and item is taken to have given or got besides


class Popularity:
    """Ranks items by their number of training ratings; predicts μ, the mean rating, for all."""

    kind: ClassVar[str] = "popularity"

    def __init__(self, train: IndexedRatings) -> None:
        self._mean = np.float32(train.ratings.mean())
        self._counts = np.bincount(train.items, minlength=len(train.item_ids)).astype(np.float32)

    def predict(self, users: Codes, items: Codes) -> Floats:
        """μ for every pair, ``(length,)``."""
        return np.full(len(users), self._mean)

    def scores(self, users: Codes) -> Floats:
        """The items' numbers of ratings, the same for every user, ``(n_users, n_items)``."""
        return np.tile(self._counts, (len(users), 1))

    def scores_for(self, items: Codes, ratings: Floats) -> Floats:
        """The same for somebody with any ratings, ``(n_items,)``."""
        return self._counts.copy()

    def state(self) -> dict[str, Any]:
        """Nothing besides the ratings: counting them again is as quick as reading."""
        return {}

    @classmethod
    def from_state(cls, state: dict[str, Any], train: IndexedRatings) -> Self:
        """The model of a file."""
        return cls(train)


class Biases:
    """``r̂ = μ + b_x + b_y`` by damped means; ranks by it.

    ``b_y = Σ (r - μ) / (n_y + damping)`` over the item's ratings, then
    ``b_x = Σ (r - μ - b_y) / (n_x + damping)`` over the user's (Funk, 2006).

    Parameters
    ----------
    train : IndexedRatings
    users : bool
        Whether to learn b_x; without, this is the mean rating of each item.
    damping : float
        In ratings.
    """

    kind: ClassVar[str] = "biases"

    def __init__(
        self, train: IndexedRatings, *, users: bool = True, damping: float = DAMPING
    ) -> None:
        self._users, self._damping = users, damping
        self._mean = float(train.ratings.mean())
        rest = train.ratings.astype(np.float64) - self._mean
        self._item_bias = _damped(train.items, rest, len(train.item_ids), damping)
        rest = rest - self._item_bias[train.items]
        n_users = len(train.user_ids)
        self._user_bias = (
            _damped(train.users, rest, n_users, damping) if users else np.zeros(n_users)
        )
        self._low, self._high = float(train.ratings.min()), float(train.ratings.max())

    def predict(self, users: Codes, items: Codes) -> Floats:
        """r̂ of each pair, kept within the ratings seen, ``(length,)``."""
        predicted = self._mean + self._user_bias[users] + self._item_bias[items]
        return np.clip(predicted, self._low, self._high).astype(np.float32)

    def scores(self, users: Codes) -> Floats:
        """r̂ of every item, not clipped, ``(n_users, n_items)``."""
        scores = self._mean + self._user_bias[users][:, None] + self._item_bias
        return scores.astype(np.float32)

    def scores_for(self, items: Codes, ratings: Floats) -> Floats:
        """μ + b_y: a person's own bias changes no order, ``(n_items,)``."""
        return (self._mean + self._item_bias).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """What a model file has to keep besides the ratings."""
        return {"users": np.array(self._users), "damping": np.array(self._damping)}

    @classmethod
    def from_state(cls, state: dict[str, Any], train: IndexedRatings) -> Self:
        """The model of a file."""
        return cls(train, users=bool(state["users"]), damping=float(state["damping"]))


def _damped(
    codes: Codes, values: npt.NDArray[np.float64], length: int, damping: float
) -> npt.NDArray[np.float64]:
    counts = np.bincount(codes, minlength=length)
    return np.bincount(codes, weights=values, minlength=length) / (counts + damping)
