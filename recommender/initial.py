"""Factors of a row not seen before: a function of (seed, side, id), and of nothing else.

The same on any partition, any machine and in any order of arrival, bit for bit: only integer
arithmetic and one multiplication a factor, no library function that may differ between machines.
"""

from __future__ import annotations

from typing import Any, Literal

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recommender.rows import RowFormat, Rows

Side = Literal["user", "item"]
SIDES: tuple[Side, Side] = ("user", "item")

_SIDE_SALT: dict[Side, int] = {"user": 0x9E6C63D0876A9A47, "item": 0xD1B54A32D192ED03}
# The sum of four uniform 16-bit integers has this standard deviation.
_FOUR_UNIFORMS_DEVIATION = float(np.sqrt(4 * (2.0**32 - 1) / 12))
_FOUR_UNIFORMS_MEAN = 4 * 65535 / 2


def initial_rows(
    ids: pa.StringArray, side: Side, seed: int, form: RowFormat, scale: float, ranking_scale: float
) -> Rows:
    """Rows for ids that have never been rated.

    Parameters
    ----------
    ids : (length,) StringArray
    side : {'user', 'item'}
    seed : int
    form : RowFormat
    scale, ranking_scale : float
        Standard deviation of a factor of the rating head and of the ranking head.

    Returns
    -------
    Rows
        Counts, biases and steps 0; factors ~ N(0, scale²), approximated by the sum of four
        uniforms, which needs no logarithm or cosine.
    """
    rows = Rows.empty(len(ids), form)
    if len(ids):
        offsets, data = string_buffers(ids)
        salt = np.uint64(_SIDE_SALT[side] ^ (seed & 0xFFFFFFFFFFFFFFFF))
        _fill(offsets, data, salt, rows.factors, np.float32(scale), np.uint64(0))
        _fill(offsets, data, salt, rows.ranking, np.float32(ranking_scale), np.uint64(form.rank))
    return rows


def string_buffers(ids: pa.StringArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Arrow's own two buffers of a string array without nulls: ``(length + 1,)`` offsets, bytes."""
    _, offsets, data = ids.buffers()
    view = np.frombuffer(offsets, dtype=np.int32)[ids.offset : ids.offset + len(ids) + 1]
    return view, np.frombuffer(data if data is not None else b"", dtype=np.uint8)


@numba.njit(cache=True)
def mixed(x: Any) -> Any:
    """SplitMix64's finaliser: a well-mixed 64-bit number from any (Steele et al., 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@numba.njit(cache=True)
def hashed(offsets: Any, data: Any, row: Any, salt: Any) -> Any:
    """A 64-bit hash of one string of an Arrow array: FNV-1a over its UTF-8 bytes, then mixed."""
    key = np.uint64(0xCBF29CE484222325)
    for position in range(offsets[row], offsets[row + 1]):
        key = (key ^ np.uint64(data[position])) * np.uint64(0x100000001B3)
    return mixed(key ^ salt)


@numba.njit(cache=True)
def _fill(offsets: Any, data: Any, salt: Any, factors: Any, scale: Any, first: Any) -> None:
    sixteen = np.uint64(0xFFFF)
    for row in range(factors.shape[0]):
        key = hashed(offsets, data, row, salt)
        for column in range(factors.shape[1]):
            counter = first + np.uint64(column + 1)
            draw = mixed(key + counter * np.uint64(0x9E3779B97F4A7C15))
            total = (
                (draw & sixteen)
                + ((draw >> np.uint64(16)) & sixteen)
                + ((draw >> np.uint64(32)) & sixteen)
                + (draw >> np.uint64(48))
            )
            standard = (np.float64(total) - _FOUR_UNIFORMS_MEAN) / _FOUR_UNIFORMS_DEVIATION
            factors[row, column] = np.float32(standard) * scale
