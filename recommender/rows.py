"""The row: all that a model knows about one user or one item, as arrays and as bytes.

The same bytes are the column ``state`` in Postgres and, behind the count, the value in Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int32]

_COLUMNS = ("n", "bias", "factors", "ranking", "step")


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
        """``bias``, ``factors``, ``ranking`` and ``step`` (the ranking head's Σ‖g‖²/k)."""
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
        return np.dtype(
            [("n", "<i4"), *((name, self.state[name]) for name in self.state.names or ())]
        )

    def empty(self, length: int) -> npt.NDArray[np.void]:
        """Zeroed packed rows, shape ``(length,)``."""
        return np.zeros(length, dtype=self.row)

    def unpack(self, values: bytes) -> npt.NDArray[np.void]:
        """Packed rows from their concatenated bytes.

        Raises
        ------
        ValueError
            If the bytes are not a whole number of rows of this format.
        """
        return np.frombuffer(values, dtype=self.row)


@dataclass
class Rows:
    """Rows of one side side by side, one array a column: the form that the kernels work on.

    Attributes
    ----------
    n : (length,) int32
        Ratings learned for each row.
    bias : (length,) float32
    factors : (length, rank) float32
    ranking : (length, ranking_rank) float32
    step : (length,) float32
        Σ‖g‖²/k of the ranking head's Adagrad.
    """

    n: Counts
    bias: Floats
    factors: Floats
    ranking: Floats
    step: Floats

    @classmethod
    def empty(cls, length: int, form: RowFormat) -> Rows:
        """Zeroed rows."""
        return cls(
            n=np.zeros(length, np.int32),
            bias=np.zeros(length, np.float32),
            factors=np.zeros((length, form.rank), np.float32),
            ranking=np.zeros((length, form.ranking_rank), np.float32),
            step=np.zeros(length, np.float32),
        )

    @classmethod
    def unpack(cls, packed: npt.NDArray[np.void]) -> Rows:
        """Rows from packed ones (a copy)."""
        return cls(
            n=packed["n"].astype(np.int32),
            bias=packed["bias"].astype(np.float32),
            factors=np.ascontiguousarray(packed["factors"], dtype=np.float32),
            ranking=np.ascontiguousarray(packed["ranking"], dtype=np.float32),
            step=packed["step"].astype(np.float32),
        )

    def pack(self) -> npt.NDArray[np.void]:
        """Packed rows, shape ``(length,)`` of ``RowFormat.row``."""
        packed = self.format.empty(len(self))
        for name in _COLUMNS:
            packed[name] = getattr(self, name)
        return packed

    @property
    def format(self) -> RowFormat:
        """The layout that these rows pack to."""
        return RowFormat(rank=self.factors.shape[1], ranking_rank=self.ranking.shape[1])

    def __len__(self) -> int:
        return len(self.n)

    def put(self, where: npt.NDArray[np.intp], rows: Rows) -> None:
        """Overwrite the rows at the positions ``where``."""
        for name in _COLUMNS:
            getattr(self, name)[where] = getattr(rows, name)

    def put_states(self, start: int, counts: Counts, states: npt.NDArray[np.void]) -> None:
        """Overwrite the rows from a position on by counts and packed states."""
        where = slice(start, start + len(states))
        self.n[where] = counts
        # All of a state are float32. As a matrix they are copied in a fifth of the time.
        values = states.view("<f4").reshape(len(states), -1)
        first = 0
        for name in states.dtype.names or ():
            into = getattr(self, name)[where].reshape(len(states), -1)
            into[...] = values[:, first : first + into.shape[1]]
            first += into.shape[1]

    def take(self, where: npt.NDArray[np.intp]) -> Rows:
        """The rows at the positions ``where`` (a copy)."""
        return Rows(**{name: getattr(self, name)[where] for name in _COLUMNS})

    def first(self, length: int) -> Rows:
        """The first rows (views)."""
        return Rows(**{name: getattr(self, name)[:length] for name in _COLUMNS})

    @staticmethod
    def joined(parts: Sequence[Rows]) -> Rows:
        """The rows of all parts, at least one, in their order."""
        columns = {name: [getattr(part, name) for part in parts] for name in _COLUMNS}
        return Rows(**{name: np.concatenate(some) for name, some in columns.items()})

    def grown(self, length: int) -> Rows:
        """These rows, followed by zeroed ones up to ``length``."""
        grown = Rows.empty(length, self.format)
        for name in _COLUMNS:
            getattr(grown, name)[: len(self)] = getattr(self, name)
        return grown
