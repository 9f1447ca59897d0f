"""The row: all that a model knows about one user or one item, as numbers and as bytes.

The same bytes are the column ``state`` in Postgres and, behind the count, the value in Redis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class RowFormat:
    """The layout of a row for given ranks; little-endian, packed.

    Parameters
    ----------
    rank : int
        Factors of the rating head (U_x or P_y).
    ranking_rank : int
        Factors of the ranking head (V_x or Q_y); 0 where that head is switched off.

    Examples
    --------
    >>> RowFormat(rank=2, ranking_rank=0).row.itemsize  # count, bias, two factors, step
    20
    """

    rank: int
    ranking_rank: int

    @cached_property
    def state(self) -> np.dtype[np.void]:
        """``bias``, ``factors``, ``ranking`` (factors) and ``step`` (the ranking head's Σ‖g‖²/k)."""
        return np.dtype(
            [
                ("bias", "<f4"),
                ("factors", "<f4", (self.rank,)),
                ("ranking", "<f4", (self.ranking_rank,)),
                ("step", "<f4"),
            ]
        )

    @cached_property
    def row(self) -> np.dtype[np.void]:
        """``n`` (ratings learned for this row, int32), then the state; the value kept in Redis."""
        return np.dtype([("n", "<i4"), *((name, self.state[name]) for name in self.state.names or ())])

    def empty(self, length: int) -> npt.NDArray[np.void]:
        """Zeroed rows, shape ``(length,)``."""
        return np.zeros(length, dtype=self.row)

    def unpack(self, values: bytes) -> npt.NDArray[np.void]:
        """Rows from their concatenated bytes.

        Raises
        ------
        ValueError
            If the bytes are not a whole number of rows of this format.
        """
        return np.frombuffer(values, dtype=self.row)
