"""Arrow's arrays of strings, put together from lengths and bytes without an object for each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

NONE = -1
"""Length of a string that is not there."""

Lengths = npt.NDArray[np.int32]


def offsets(lengths: Lengths) -> npt.NDArray[np.int32]:
    """Where each string begins in their bytes, and where the last one ends, ``(length + 1,)``."""
    found = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(np.maximum(lengths, 0), out=found[1:])
    return found


def string_array(
    lengths: Lengths, data: object, begins: npt.NDArray[np.int32] | None = None
) -> pa.StringArray:
    """Strings one after the other.

    Parameters
    ----------
    lengths : (length,) int32
        Bytes of each; `NONE`: it is not there.
    data : buffer
        All of them as UTF-8, not copied.
    begins : (length + 1,) int32, optional
        Their `offsets`, where they are known already.

    Examples
    --------
    >>> string_array(np.array([1, NONE, 2], np.int32), b"abc").to_pylist()
    ['a', None, 'bc']
    """
    there = lengths != NONE
    return pa.StringArray.from_buffers(
        len(lengths),
        pa.py_buffer(offsets(lengths) if begins is None else begins),
        pa.py_buffer(data),
        None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little")),
    )
