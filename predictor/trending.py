"""What is rated of late: counts that fade, for each item of the table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from recommender.rows import Floats

Doubles = npt.NDArray[np.float64]

TRENDING_HALF_LIFE = 10_000
"""Ratings, see the setting of this name."""

_RESCALE_AT = 500  # half-lives; doubles hold twice as many
_KEPT_HALF_LIVES = 5  # of the history read at a start: what came before counts 3 % together


class Trending:
    """Ratings of late; each counts half as much once `half_life` further ratings have been learned.

    The clock is the number of ratings, not time: a night without visitors makes nothing less of a
    trend, and after a start the same follows from the end of the history.

    Parameters
    ----------
    half_life : int
        Ratings, of all items together.

    Examples
    --------
    >>> trending = Trending(half_life=10)
    >>> trending.add(np.array([0, 1]), np.array([4, 1]), clock=0)
    >>> trending.add(np.array([1]), np.array([3]), clock=10)
    >>> trending.counts(n_items=3, clock=10).tolist()
    [2.0, 3.5, 0.0]
    """

    def __init__(self, half_life: int) -> None:
        self._half_life = half_life
        # All counts are kept as of the clock's zero, so that what is not rated need not be touched.
        self._counts = np.zeros(1024, np.float64)
        self._zero = 0

    @property
    def history(self) -> int:
        """Ratings at the end of the history that say all that is needed after a start."""
        return _KEPT_HALF_LIVES * self._half_life

    def seed(self, positions: Sequence[int], clock: int) -> None:
        """Begin with the items of the latest ratings, the oldest first."""
        ages = np.arange(len(positions) - 1, -1, -1)
        where = np.asarray(positions, np.intp)
        self._grow(where)
        self._zero = clock
        np.add.at(self._counts, where, np.exp2(-ages / self._half_life))

    def add(
        self, positions: npt.NDArray[np.intp], ratings: npt.NDArray[np.int32], clock: int
    ) -> None:
        """Take up new ratings.

        Parameters
        ----------
        positions : (m,) intp
            Items, each once.
        ratings : (m,) int
            Ratings that each has got since.
        clock : int
            Ratings learned in all.
        """
        self._grow(positions)
        if clock - self._zero > _RESCALE_AT * self._half_life:
            self._counts *= np.exp2((self._zero - clock) / self._half_life)
            self._zero = clock
        self._counts[positions] += ratings * np.exp2((clock - self._zero) / self._half_life)

    def reserve(self, n_items: int) -> None:
        """Have room for so many items."""
        self._grow(np.array([n_items - 1]))

    def counts(self, n_items: int, clock: int) -> Floats:
        """The faded counts, ``(n_items,)``."""
        self.reserve(n_items)
        faded = self._counts[:n_items] * np.exp2((self._zero - clock) / self._half_life)
        counts: Floats = faded.astype(np.float32)
        return counts

    def _grow(self, positions: npt.NDArray[np.intp]) -> None:
        needed = int(positions.max(initial=-1)) + 1
        if needed > len(self._counts):
            self._counts = np.concatenate(
                [self._counts, np.zeros(max(needed, 2 * len(self._counts)) - len(self._counts))]
            )
