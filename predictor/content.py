"""The items' vectors of attributes, kept beside the item table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from sys import intern
from typing import Any, NamedTuple

import numpy as np

from predictor.items import Positions
from recommender.content import AttributeSpace, Described
from recommender.diversity import normalized
from recommender.rows import Floats

GROWTH = 1.5
"""The vocabulary is taken anew once the catalogue has grown by this: work in proportion."""


class _Looked(NamedTuple):
    """What is looked at of an item's attributes."""

    genres: tuple[str, ...]
    year: int | None

    @classmethod
    def at(cls, attributes: Mapping[str, Any]) -> _Looked:
        listed = attributes.get("genres") or ()
        year = attributes.get("year")
        return cls(
            tuple(intern(one) for one in listed if isinstance(one, str)),
            int(year) if isinstance(year, int | float) else None,
        )


class ContentVectors:
    """One vector of attributes for each item of the table; zeros where the catalogue says nothing.

    Examples
    --------
    >>> content = ContentVectors()
    >>> content.put([(2, {"genres": ["War"]})])
    >>> content.vectors(3).tolist()
    [[0.0], [0.0], [1.0]]
    """

    def __init__(self) -> None:
        self._entries: dict[int, _Looked] = {}
        self._space = AttributeSpace(Described([], []))
        self._fitted = 0
        self._vectors = np.zeros((0, 0), np.float32)

    def __getstate__(self) -> dict[str, Any]:
        """Without the vocabulary: for those who only look."""
        nothing = ContentVectors()
        return {**vars(nothing), "_vectors": self._vectors}

    def put(self, attributes: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        """Take up attributes, new or changed, with their items' positions."""
        changed = {position: _Looked.at(found) for position, found in attributes}
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
            grown = np.zeros((length, self._vectors.shape[1]), np.float32)
            grown[: len(self._vectors)] = self._vectors
            self._vectors = grown


def _described(entries: Sequence[_Looked]) -> Described:
    return Described([entry.genres for entry in entries], [entry.year for entry in entries])
