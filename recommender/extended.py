"""A trained model asked about people and items that it has never met."""

from __future__ import annotations

import numpy as np

from recommender.datasets import IndexedRatings
from recommender.evaluation import Recommender
from recommender.factor_model import FactorModel
from recommender.rating_head import Codes
from recommender.rows import Floats
from recommender.splits import Split


class Extended:
    """A model whose training ratings are a split's, with the split's further codes.

    A pair with a new user or item is predicted by the mean rating (for ALS: by what it says of cold
    pairs); a new user gets the most rated items, and a new item is on no list.

    Parameters
    ----------
    model : Recommender
    train : IndexedRatings
        What it has learned; its codes are the split's below its own lengths.
    split : Split
    """

    def __init__(self, model: Recommender, train: IndexedRatings, split: Split) -> None:
        self._model = model
        self._n_users, self._n_items = len(train.user_ids), len(train.item_ids)
        self._all_items = len(split.item_ids)
        self._cold = (
            model.cold_rating
            if isinstance(model, FactorModel)
            else np.float32(train.ratings.mean())
        )
        self._counts = np.bincount(train.items, minlength=self._n_items).astype(np.float32)

    def predict(self, users: Codes, items: Codes) -> Floats:
        """r̂ of each pair, ``(length,)``."""
        predicted = np.full(len(users), self._cold)
        known = (users < self._n_users) & (items < self._n_items)
        predicted[known] = self._model.predict(users[known], items[known])
        return predicted

    def scores(self, users: Codes) -> Floats:
        """Scores of every item for each user, ``(n_users, n_items)``."""
        scores = np.full((len(users), self._all_items), -np.inf, np.float32)
        known = users < self._n_users
        scores[:, : self._n_items] = self._counts
        scores[known, : self._n_items] = self._model.scores(users[known])
        return scores
