"""The items' vectors of attributes, kept beside the item table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from predictor.items import Positions
from recommender.content import AttributeSpace, Described
from recommender.diversity import normalized
from recommender.rows import Floats
from storage.reading import CatalogueEntry

GROWTH = 1.5
"""The vocabulary is taken anew once the catalogue has grown by this: work in proportion."""


class ContentVectors:
    """One vector of attributes for each item of the table; zeros where the catalogue says nothing.

    Examples
    --------
    >>> content = ContentVectors()
    >>> content.put([(2, CatalogueEntry("x", None, {"genres": ["War"]}))])
    >>> content.vectors(3).tolist()
    [[0.0], [0.0], [1.0]]
    """

    def __init__(self) -> None:
        self._entries: dict[int, CatalogueEntry] = {}
        self._space = AttributeSpace(Described([], []))
        self._fitted = 0
        self._vectors = np.zeros((0, 0), np.float32)

    def put(self, entries: Iterable[tuple[int, CatalogueEntry]]) -> None:
        """Take up entries, new or changed, with their items' positions."""
        changed = dict(entries)
        if not changed:
            return
        self._entries.update(changed)
        if len(self._entries) > GROWTH * self._fitted:
            self._fitted = len(self._entries)
            self._space = AttributeSpace(_described(list(self._entries.values())))
            self._vectors = np.zeros((max(self._entries) + 1, self._space.size), np.float32)
            changed = self._entries
        positions = np.fromiter(changed, np.intp, len(changed))
        self._grow(int(positions.max()) + 1)
        self._vectors[positions] = self._space.vectors(_described(list(changed.values())))

    def vectors(self, n_items: int) -> Floats:
        """Rows of length 1 or 0, ``(n_items, size)``; a view."""
        self._grow(n_items)
        return self._vectors[:n_items]

    def profile(self, positions: Positions, weights: Floats) -> Floats:
        """Taste as a direction: the weighted sum of items' vectors, length 1 or 0, ``(size,)``."""
        self._grow(int(positions.max(initial=-1)) + 1)
        return normalized(weights @ self._vectors[positions])

    def _grow(self, n_items: int) -> None:
        if n_items > len(self._vectors):
            length = max(n_items, len(self._vectors) * 5 // 4)
            grown = np.zeros((length, self._space.size), np.float32)
            grown[: len(self._vectors)] = self._vectors
            self._vectors = grown


def _described(entries: Sequence[CatalogueEntry]) -> Described:
    genres, years = [], []
    for entry in entries:
        listed = entry.attributes.get("genres")
        genres.append([one for one in listed if isinstance(one, str)] if listed else [])
        year = entry.attributes.get("year")
        years.append(int(year) if isinstance(year, int | float) else None)
    return Described(genres, years)
