"""Positions of ids: a hash table in two arrays, where a dict of a million takes 100 MB.

Open addressing with linear probing (Knuth, The Art of Computer Programming 3, 6.4, algorithm L).
"""

from __future__ import annotations

import secrets

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from predictor.text_table import TextTable, columns

Positions = npt.NDArray[np.intp]
Slots = npt.NDArray[np.int32]
Octets = npt.NDArray[np.uint8] | bytes

_EMPTY = -1
_FIRST_SLOTS = 4096
_FREE = 2
"""Slots for each id at the least: a look-up then takes 1.5 probes, or 2.5 where it is not known."""


class IdIndex:
    """Where each string of a table is; all are distinct, and none changes.

    Parameters
    ----------
    ids : TextTable
        What is appended to it is known from the next `extend` on.
    """

    def __init__(self, ids: TextTable[str]) -> None:
        self._ids = ids
        self._known = 0
        self._slots: Slots = np.full(_FIRST_SLOTS, _EMPTY, np.int32)
        # Ids come from outside: nobody may choose them so that they fall on each other.
        self._seed = np.uint64(secrets.randbits(64))

    def extend(self) -> None:
        """Take up the ids that have been appended to the table."""
        length = len(self._ids)
        slots = len(self._slots)
        while slots < _FREE * length:
            slots *= 2
        if slots > len(self._slots):
            self._slots = np.full(slots, _EMPTY, np.int32)
            self._known = 0
        _insert(self._slots, self._seed, *self._ids.arrays, self._known, length)
        self._known = length

    def find(self, texts: pa.Array) -> Positions:
        """Positions of some strings; -1: not known."""
        starts, lengths, data = columns(texts)
        found: Positions = _find(self._slots, self._seed, *self._ids.arrays, data, starts, lengths)
        return found

    def find_one(self, text: str) -> int | None:
        """Position of one string, or None where it is not known."""
        found = _find_one(self._slots, self._seed, *self._ids.arrays, text.encode())
        return None if found == _EMPTY else int(found)


_BYTES = numba.types.Bytes(numba.uint8, 1, "C", readonly=True)
_TABLE = (numba.uint8[::1], numba.int64[::1], numba.int32[::1])
_GIVEN = (
    numba.types.Array(numba.uint8, 1, "C", readonly=True),
    numba.int64[::1],
    numba.int32[::1],
)


@numba.njit(cache=True, nogil=True)
def _hash(seed: np.uint64, data: Octets, start: int, length: int) -> np.uint64:
    """FNV-1a, its bits mixed at the end as MurmurHash3 does."""
    found = seed
    for place in range(start, start + length):
        found = (found ^ np.uint64(data[place])) * np.uint64(0x100000001B3)
    found = (found ^ (found >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    found = (found ^ (found >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return found ^ (found >> np.uint64(33))


# Compiled when it is loaded, not during the first request.
@numba.njit(
    numba.void(numba.int32[::1], numba.uint64, *_TABLE, numba.intp, numba.intp),
    cache=True,
    nogil=True,
)
def _insert(
    slots: Slots,
    seed: np.uint64,
    encoded: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int32],
    first: int,
    last: int,
) -> None:
    mask = np.uint64(len(slots) - 1)
    for position in range(first, last):
        slot = _hash(seed, encoded, starts[position], lengths[position]) & mask
        while slots[slot] != _EMPTY:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = position


@numba.njit(cache=True, nogil=True)
def _position(
    slots: Slots,
    seed: np.uint64,
    encoded: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int32],
    wanted: Octets,
    begin: int,
    length: int,
) -> np.intp:
    mask = np.uint64(len(slots) - 1)
    slot = _hash(seed, wanted, begin, length) & mask
    while slots[slot] != _EMPTY:
        position = slots[slot]
        start = starts[position]
        same = lengths[position] == length
        place = 0
        while same and place < length:
            same = encoded[start + place] == wanted[begin + place]
            place += 1
        if same:
            return np.intp(position)
        slot = (slot + np.uint64(1)) & mask
    return np.intp(_EMPTY)


@numba.njit(
    numba.intp[::1](numba.int32[::1], numba.uint64, *_TABLE, *_GIVEN), cache=True, nogil=True
)
def _find(
    slots: Slots,
    seed: np.uint64,
    encoded: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int32],
    wanted: npt.NDArray[np.uint8],
    wanted_starts: npt.NDArray[np.int64],
    wanted_lengths: npt.NDArray[np.int32],
) -> Positions:
    found = np.full(len(wanted_starts), _EMPTY, np.intp)
    for one in range(len(wanted_starts)):
        if wanted_lengths[one] >= 0:
            found[one] = _position(
                slots,
                seed,
                encoded,
                starts,
                lengths,
                wanted,
                wanted_starts[one],
                wanted_lengths[one],
            )
    return found


@numba.njit(numba.intp(numba.int32[::1], numba.uint64, *_TABLE, _BYTES), cache=True, nogil=True)
def _find_one(
    slots: Slots,
    seed: np.uint64,
    encoded: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int32],
    wanted: bytes,
) -> np.intp:
    return _position(slots, seed, encoded, starts, lengths, wanted, 0, len(wanted))
