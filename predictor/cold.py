"""Items with few ratings: their rows drawn towards what their attributes say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from predictor.items import ItemTable, Positions
from recommender import content
from recommender.content import COLD_RATINGS, RowsFromAttributes
from recommender.rows import Floats, Rows

FEWEST_TEACHERS = 50
"""Rated items from which on a regression is worth having."""

GROWTH = 1.2
"""Learned anew once the model has learned so many times the ratings: the factors move on."""


class ColdStart:
    """Predicts rows from attributes; before there is enough to learn from it changes nothing.

    A vocabulary of attributes that has been taken anew since does not fit: then, too.
    """

    def __init__(self, rows: RowsFromAttributes | None = None, ratings: int = 0) -> None:
        self._rows = rows
        self._ratings = ratings

    @classmethod
    def fit(
        cls, items: ItemTable, vectors: Callable[[Positions], Floats], ratings: int
    ) -> ColdStart:
        """Learn from the items that have been rated, each weighing as its ratings tell.

        Parameters
        ----------
        items : ItemTable
        vectors : callable
            Attributes of the items at some positions.
        ratings : int
            Ratings that the model has learned.
        """
        teachers = np.flatnonzero(items.n > 0)
        found = vectors(teachers)
        if len(teachers) < FEWEST_TEACHERS or not found.any():
            return cls(ratings=ratings)
        rows = items.rows(teachers)
        return cls(RowsFromAttributes.fit(found, content.targets(rows), rows.n), ratings)

    @property
    def fitted(self) -> bool:
        """Whether it predicts anything."""
        return self._rows is not None

    def due(self, ratings: int) -> bool:
        """Whether it should be learned anew, with so many ratings learned by the model."""
        return ratings > GROWTH * self._ratings

    def blended(self, rows: Rows, vectors: Floats) -> Rows:
        """Rows as they are to be served; those of items without attributes stay as they are.

        Parameters
        ----------
        rows : Rows
            As learned.
        vectors : (length, size) float32
            Attributes of their items.
        """
        known = self._rows
        if known is None or vectors.shape[1] + 1 != len(known.coefficients):
            return rows
        few = np.flatnonzero((rows.n < COLD_RATINGS) & vectors.any(axis=1))
        if len(few):
            some = rows.take(few)
            rows.put(few, content.blended(some, known.predict(vectors[few])))
        return rows
