"""Ratings learned earlier, in memory: to draw from for replay, and to fold users in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommender.rating_head import Codes
from recommender.rows import Floats


@dataclass(frozen=True)
class Ratings:
    """Ratings by position: columns of one length.

    Attributes
    ----------
    users, items : (length,) int32
    ratings : (length,) float32
    """

    users: Codes
    items: Codes
    ratings: Floats

    @classmethod
    def none(cls) -> Ratings:
        """No rating."""
        return cls(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))

    def __len__(self) -> int:
        return len(self.ratings)

    def first(self, count: int) -> Ratings:
        """The first ones."""
        return Ratings(self.users[:count], self.items[:count], self.ratings[:count])

    def followed_by(self, other: Ratings) -> Ratings:
        """These, then the others."""
        return Ratings(
            np.concatenate([self.users, other.users]),
            np.concatenate([self.items, other.items]),
            np.concatenate([self.ratings, other.ratings]),
        )


class History:
    """All ratings that a model in memory has learned, in order."""

    def __init__(self) -> None:
        self._parts: list[Ratings] = []

    def append(self, ratings: Ratings) -> None:
        """Add ratings that have been learned."""
        self._parts.append(ratings)

    def all(self) -> Ratings:
        """Every rating, in the order of learning."""
        if len(self._parts) > 1:
            columns = [
                np.concatenate([getattr(part, name) for part in self._parts])
                for name in ("users", "items", "ratings")
            ]
            self._parts = [Ratings(*columns)]
        return self._parts[0] if self._parts else Ratings.none()

    def sample(self, count: int, random: np.random.Generator) -> Ratings:
        """Ratings drawn with equal chances, fewer where there are not as many."""
        past = self.all()
        if not len(past):
            return past
        drawn = np.unique(random.integers(0, len(past), count))
        random.shuffle(drawn)
        return Ratings(past.users[drawn], past.items[drawn], past.ratings[drawn])
