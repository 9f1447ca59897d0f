"""Very many strings by position, as UTF-8 in one piece of memory: objects cost 60 bytes each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recommender.string_arrays import NONE, string_array

Positions = npt.NDArray[np.intp]
Text = TypeVar("Text", bound="str | None")

_FIRST_CAPACITY = 1024
_GATHERED = 4096  # strings put together at a time
_LEAST_WASTE = 2**20  # bytes below which putting together anew is not worth while


class TextTable(Sequence[Text]):
    """Strings, or none, by position; the arrays double when they are full.

    Examples
    --------
    >>> texts: TextTable[str | None] = TextTable()
    >>> texts.extend(strings(["a", None, "é"]))
    >>> texts.put(np.array([0]), strings(["bc"]))
    >>> list(texts)
    ['bc', None, 'é']
    """

    def __init__(self) -> None:
        self._length = 0
        self._starts = np.zeros(_FIRST_CAPACITY, np.int64)
        self._lengths = np.full(_FIRST_CAPACITY, NONE, np.int32)
        self._bytes = np.zeros(_FIRST_CAPACITY, np.uint8)
        self._end = 0
        self._wasted = 0

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, place: int) -> Text: ...
    @overload
    def __getitem__(self, place: slice) -> list[Text]: ...
    def __getitem__(self, place: int | slice) -> Text | list[Text]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(self._length))]
        if not 0 <= place < self._length:
            raise IndexError(place)
        found: Any = None
        length = self._lengths[place]
        if length >= 0:
            start = self._starts[place]
            found = str(self._bytes[start : start + length].data, "utf-8")
        text: Text = found
        return text

    def several(self, places: Sequence[int]) -> list[Text]:
        """The strings at some places, in a third of the time that they take one by one.

        Raises
        ------
        IndexError
            If a place is not in the table.
        """
        if not places:
            return []
        if min(places) < 0 or max(places) >= self._length:
            raise IndexError(places)
        wanted = np.array(places, np.intp)
        starts, lengths = self._starts[wanted].tolist(), self._lengths[wanted].tolist()
        data = self._bytes.data
        found: list[Any] = [
            str(data[start : start + length], "utf-8") if length >= 0 else None
            for start, length in zip(starts, lengths, strict=True)
        ]
        return found

    @property
    def arrays(
        self,
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """All strings as UTF-8 in any order, and where each begins and its bytes (-1: none).

        With room for more: longer than the table.
        """
        return self._bytes, self._starts, self._lengths

    def extend(self, texts: pa.Array) -> None:
        """Put strings behind the last one."""
        first = self._length
        self.resize(first + len(texts))
        self.put(np.arange(first, first + len(texts)), texts)

    def resize(self, length: int) -> None:
        """Make the table longer, by none."""
        if length > len(self._starts):
            self._starts = grown(self._starts, length)
            self._lengths = grown(self._lengths, length)
        self._lengths[self._length : length] = NONE
        self._length = length

    def put(self, positions: Positions, texts: pa.Array) -> None:
        """Set the strings at some positions, each named once."""
        starts, lengths, data = columns(texts)
        self._wasted += int(np.maximum(self._lengths[positions], 0).sum(dtype=np.int64))
        self._reserve(len(data))
        self._bytes[self._end : self._end + len(data)] = data
        self._starts[positions] = self._end + starts
        self._lengths[positions] = lengths
        self._end += len(data)
        if self._wasted > max(self._end // 2, _LEAST_WASTE):
            self._tidy()

    def take(self, positions: Positions) -> pa.Array:
        """The strings at some positions; none where there is no such position."""
        there = (positions >= 0) & (positions < self._length)
        lengths = np.full(len(positions), NONE, np.int32)
        lengths[there] = self._lengths[positions[there]]
        sizes = np.maximum(lengths, 0)
        ends = np.cumsum(sizes)
        starts = np.zeros(len(positions), np.int64)
        starts[there] = self._starts[positions[there]]
        places = np.repeat(starts - (ends - sizes), sizes) + np.arange(sizes.sum())
        return string_array(lengths, self._bytes[places])

    def _reserve(self, more: int) -> None:
        if self._end + more > len(self._bytes):
            self._bytes = grown(self._bytes, self._end + more)

    def _tidy(self) -> None:
        """Drop what is left of strings that have been replaced."""
        sizes = np.maximum(self._lengths[: self._length], 0)
        kept = np.zeros(max(int(sizes.sum(dtype=np.int64)), 1), np.uint8)
        end = 0
        starts = np.zeros(len(self._starts), np.int64)
        for first in range(0, self._length, _GATHERED):
            some = np.arange(first, min(first + _GATHERED, self._length))
            _, _, data = columns(self.take(some))
            kept[end : end + len(data)] = data
            starts[some] = end + np.cumsum(sizes[some]) - sizes[some]
            end += len(data)
        self._bytes, self._starts = kept, starts
        self._end, self._wasted = end, 0


def columns(
    texts: pa.Array,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Starts, lengths (-1: none) and bytes of Arrow's strings; the bytes are not copied."""
    there, offsets, data = texts.buffers()
    if not len(texts) or offsets is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.uint8)
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    lengths = np.diff(ends)
    if texts.null_count:
        lengths[~_bits(there, texts.offset, len(texts))] = NONE
    first, last = int(ends[0]), int(ends[-1])
    held = np.frombuffer(data, np.uint8)[first:last] if last > first else np.zeros(0, np.uint8)
    return ends[:-1].astype(np.int64) - first, lengths, held


def equal(one: pa.Array, other: pa.Array) -> npt.NDArray[np.bool_]:
    """Where two columns of strings say the same, also that there is nothing."""
    (_, lengths, _), (_, others, _) = columns(one), columns(other)
    same = pc.equal(one, other)  # of nothing it says something or other
    alike = _bits(same.buffers()[1], same.offset, len(same))
    return np.where((lengths < 0) | (others < 0), lengths == others, alike)


def _bits(packed: pa.Buffer, offset: int, length: int) -> npt.NDArray[np.bool_]:
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    found: npt.NDArray[np.bool_] = bits[offset : offset + length].astype(np.bool_)
    return found


def strings(texts: Iterable[str | None]) -> pa.Array:
    """Arrow's strings out of Python's; `pyarrow.array` imports pandas where it is installed."""
    encoded = [None if text is None else text.encode() for text in texts]
    lengths = np.fromiter(
        (NONE if one is None else len(one) for one in encoded), np.int32, len(encoded)
    )
    return string_array(lengths, b"".join(one for one in encoded if one))


def taken(texts: pa.Array | pa.RecordBatch, places: Positions) -> Any:
    """Some of Arrow's values, in the order of their places."""
    chosen = pa.Array.from_buffers(
        pa.int64(), len(places), [None, pa.py_buffer(places.astype(np.int64))]
    )
    return texts.take(chosen)


def grown(values: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """The same, followed by zeros up to `capacity`."""
    longer = np.zeros((capacity(len(values), length), *values.shape[1:]), values.dtype)
    longer[: len(values)] = values
    return longer


def capacity(present: int, wanted: int) -> int:
    """The length of an array that grows from a length to at least another one, by doubling."""
    found = max(present, _FIRST_CAPACITY)
    while found < wanted:
        found *= 2
    return found
