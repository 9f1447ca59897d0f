"""What items have in common by their attributes: genres and year as vectors.

Serves where ratings say nothing yet: likeness of items, taste as a profile of attributes, and rows
of new items predicted by ridge regression from the rows of items that many have rated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from recommender.diversity import normalized
from recommender.rows import Floats, Rows

MAX_GENRES = 64
"""Genres that have a column, the most frequent ones: bounds memory where genres are free text."""

MAX_KNOTS = 12
"""Years that have a column; a year between two of them counts in parts to both."""

YEAR_WEIGHT = 0.5
"""Length of the year's part of a vector beside the genres' 1: genres say more."""

RIDGE = 10.0
"""λ of the regression, in items."""


@dataclass(frozen=True)
class Described:
    """The attributes of some items that this module looks at.

    Attributes
    ----------
    genres : sequence of sequence of str
        Of each item; empty where not known.
    years : sequence of int or None
    """

    genres: Sequence[Sequence[str]]
    years: Sequence[int | None]

    def __len__(self) -> int:
        return len(self.genres)


class AttributeSpace:
    """Turns genres and years into vectors.

    Genres are weighted by ``log(1 + n/n_g)``: rare ones say more. A year is spread over its two
    nearest knots, so that near years are alike.

    Parameters
    ----------
    known : Described
        Items that the vocabulary is taken from.

    Examples
    --------
    >>> films = Described([["Crime"], ["Crime", "War"], []], [1994, 1995, None])
    >>> vectors = AttributeSpace(films).vectors(films)
    >>> vectors.shape, bool(vectors[0] @ vectors[1] > 0.4), vectors[2].tolist()
    ((3, 4), True, [0.0, 0.0, 0.0, 0.0])
    """

    def __init__(self, known: Described) -> None:
        counts = Counter(genre for genres in known.genres for genre in set(genres))
        kept = sorted(counts, key=lambda genre: (-counts[genre], genre))[:MAX_GENRES]
        self._genres = {genre: place for place, genre in enumerate(kept)}
        self._weights = np.array(
            [np.log1p(len(known) / counts[genre]) for genre in kept], np.float32
        )
        years = np.array([year for year in known.years if year is not None], np.float32)
        # Equally many items between knots: a catalogue's years are not spread evenly.
        quantiles = np.linspace(0, 1, MAX_KNOTS)
        self._knots = (
            np.unique(np.quantile(years, quantiles, method="nearest"))
            if len(years)
            else np.zeros(0)
        )

    @property
    def size(self) -> int:
        """Length of a vector."""
        return len(self._genres) + len(self._knots)

    def vectors(self, items: Described) -> Floats:
        """One row of length 1 for each item, ``(n_items, size)`` float32; zeros: nothing is known.

        Cosines of such rows are the likeness of the items.
        """
        found = np.zeros((len(items), self.size), np.float32)
        for row, genres in enumerate(items.genres):
            for genre in genres:
                if (place := self._genres.get(genre)) is not None:
                    found[row, place] = self._weights[place]
        width = len(self._genres)
        found[:, :width] = normalized(found[:, :width])
        if len(self._knots):
            found[:, width:] = np.float32(YEAR_WEIGHT) * self._year_parts(items.years)
        return normalized(found)

    def _year_parts(self, years: Sequence[int | None]) -> Floats:
        parts = np.zeros((len(years), len(self._knots)), np.float32)
        dated = np.array([place for place, year in enumerate(years) if year is not None], np.intp)
        values = np.array([years[place] for place in dated], np.float64)
        values = np.clip(values, self._knots[0], self._knots[-1])
        upper = np.clip(np.searchsorted(self._knots, values), 1, max(len(self._knots) - 1, 1))
        if len(self._knots) == 1:
            parts[dated, 0] = 1
            return parts
        low, high = self._knots[upper - 1], self._knots[upper]
        share = ((values - low) / (high - low)).astype(np.float32)
        parts[dated, upper - 1] = 1 - share
        parts[dated, upper] = share
        return parts


@dataclass(frozen=True)
class RowsFromAttributes:
    """Rows predicted from attributes: ``x W + c`` by ridge regression.

    Attributes
    ----------
    coefficients : (size + 1, n_targets) float32
        The last row is the constant.
    """

    coefficients: Floats

    @classmethod
    def fit(cls, vectors: Floats, targets: Floats, counts: npt.NDArray[np.int32]) -> Self:
        """Learn from items that have been rated.

        Parameters
        ----------
        vectors : (n_items, size) float32
        targets : (n_items, n_targets) float32
            What is to be predicted: biases and factors.
        counts : (n_items,) int32
            Ratings of each item: its weight is ``n / (n + 10)``, a row's share that is not noise.
        """
        weights = (counts / (counts + 10)).astype(np.float32)
        wide = np.column_stack([vectors, np.ones(len(vectors), np.float32)])
        weighted = wide * weights[:, None]
        matrix = (weighted.T @ wide).astype(np.float64)
        matrix.flat[:: len(matrix) + 1] += RIDGE
        matrix[-1, -1] -= RIDGE * (1 - 1e-3)  # the constant is hardly held
        solved = np.linalg.solve(matrix, (weighted.T @ targets).astype(np.float64))
        return cls(solved.astype(np.float32))

    def predict(self, vectors: Floats) -> Floats:
        """Predicted rows, ``(n_items, n_targets)``."""
        predicted: Floats = vectors @ self.coefficients[:-1] + self.coefficients[-1]
        return predicted


COLD_RATINGS = 20
"""Ratings from which on a row is its own alone."""

BIAS_RATINGS = 1.0
FACTOR_RATINGS = 2.0
RANKING_RATINGS = 1.0
"""κ: ratings that what attributes say of a bias and of either head's factors counts for. Measured
on items held out, and on a split of all ratings, where larger ones spoil the lists: docs/model.md.
"""


def targets(rows: Rows) -> Floats:
    """What is predicted of rows: bias, factors and ranking factors side by side."""
    return np.column_stack([rows.bias, rows.factors, rows.ranking])


def blended(rows: Rows, predicted: Floats) -> Rows:
    """Rows with few ratings drawn towards what their attributes say: ``(n r + κ p) / (n + κ)``.

    Parameters
    ----------
    rows : Rows
        As learned; those without a rating count for nothing.
    predicted : (n_items, n_targets) float32
        In the order of `targets`.
    """
    n, rank = rows.n.astype(np.float32), rows.factors.shape[1]

    def drawn(own: Floats, said: Floats, ratings: float) -> Floats:
        share = np.where(n < COLD_RATINGS, ratings / (n + ratings), 0).astype(np.float32)
        share = share.reshape(-1, *(1,) * (own.ndim - 1))
        mixed: Floats = (1 - share) * own + share * said
        return mixed

    return Rows(
        n=rows.n,
        bias=drawn(rows.bias, predicted[:, 0], BIAS_RATINGS),
        factors=drawn(rows.factors, predicted[:, 1 : rank + 1], FACTOR_RATINGS),
        ranking=drawn(rows.ranking, predicted[:, rank + 1 :], RANKING_RATINGS),
        step=rows.step,
    )
