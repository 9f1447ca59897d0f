"""What a visitor wishes of the list of recommendations."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Wishes:
    """Filters and sliders; as they are at first they ask for nothing.

    Attributes
    ----------
    genres : tuple of str
        Films of any of these; empty: of all.
    year_min, year_max : int or None
        From year to year.
    diversity, novelty : float
        0 to 1.
    """

    genres: tuple[str, ...] = ()
    year_min: int | None = None
    year_max: int | None = None
    diversity: float = 0.0
    novelty: float = 0.0

    @property
    def count(self) -> int:
        """How many of them differ from what they are at first."""
        return sum(getattr(self, one.name) != one.default for one in fields(self))

    @property
    def query(self) -> dict[str, Any]:
        """As the predictor takes them."""
        return {
            **({"genre": list(self.genres)} if self.genres else {}),
            **({} if self.year_min is None else {"year_min": self.year_min}),
            **({} if self.year_max is None else {"year_max": self.year_max}),
            **({"diversity": self.diversity} if self.diversity else {}),
            **({"novelty": self.novelty} if self.novelty else {}),
        }

    def stored(self) -> dict[str, Any]:
        """As JSON types."""
        return {**asdict(self), "genres": list(self.genres)}

    @classmethod
    def restored(cls, stored: object) -> Wishes:
        """From what `stored` gave; none where that cannot be read."""
        if not isinstance(stored, dict):
            return cls()
        try:
            return cls(**{**stored, "genres": tuple(map(str, stored.get("genres", ())))})
        except TypeError:  # kept by another version
            return cls()
