"""Ratings as our own services write them, read by a compiled loop instead of a JSON parser.

Nearly all of the log is canonical JSON (`recommender.ratings.encode`): the same names in the same
order, no blanks, ids of printable ASCII that are neither empty nor too long, numbers without an
exponent. Whatever differs by a byte is left to who can read any JSON; no number is judged here.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pyarrow as pa

from recommender.ids import MAX_ID
from recommender.ratings import MAX_EVENT_ID

_USER = np.frombuffer(b'{"user":"', np.uint8)
_ITEM = np.frombuffer(b'","item":"', np.uint8)
_RATING = np.frombuffer(b'","rating":', np.uint8)
_TIMESTAMP = np.frombuffer(b',"timestamp":', np.uint8)
_EVENT_ID = np.frombuffer(b',"event_id":"', np.uint8)

_QUOTE, _BACKSLASH, _MINUS, _POINT, _ZERO, _END = (ord(one) for one in '"\\-.0}')
_PRINTABLE = (0x20, 0x7E)

# A whole number below 2^53 over a power of ten up to 10^22, both exact, is rounded once when it is
# divided, so correctly (Clinger 1990, "How to read floating point numbers accurately").
_DIGITS = 15
_POWERS = 10.0 ** np.arange(_DIGITS + 1)

_TEXTS = ("user", "item", "event_id")


def parse(values: pa.BinaryArray) -> pa.Table | None:
    """Read records' values.

    Parameters
    ----------
    values : (length,) BinaryArray
        Without nulls.

    Returns
    -------
    Table or None
        ``user``, ``item``, ``event_id`` (texts; the last may be null), ``rating``, ``timestamp``
        (doubles), with the very bits that a JSON parser reads; None if any value is not canonical.
    """
    _, offsets, data = values.buffers()
    if data is None:
        return None
    places = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    texts = np.zeros((len(_TEXTS), 2, len(values)), np.int32)
    numbers = np.zeros((2, len(values)))
    bytes_ = np.frombuffer(data, np.uint8)
    if not _scan(bytes_, places, texts, numbers):
        return None
    columns = {
        name: _texts(bytes_, start, end, optional=name == "event_id")
        for name, (start, end) in zip(_TEXTS, texts, strict=True)
    }
    return pa.table({**columns, "rating": numbers[0], "timestamp": numbers[1]})


def _texts(data: Any, start: Any, end: Any, optional: bool) -> pa.StringArray:
    """The texts at those places; an optional one that starts at 0 is not there."""
    offsets = np.zeros(len(start) + 1, np.int32)
    np.cumsum(end - start, out=offsets[1:])
    copied = np.empty(offsets[-1], np.uint8)
    _copy(data, start, offsets, copied)
    there = None
    if optional and not start.all():
        there = pa.py_buffer(np.packbits(start > 0, bitorder="little"))
    return pa.Array.from_buffers(
        pa.string(), len(start), [there, pa.py_buffer(offsets), pa.py_buffer(copied)]
    )


@numba.njit(cache=True)
def _copy(data: Any, start: Any, offsets: Any, copied: Any) -> None:
    for row in range(len(start)):
        for at in range(offsets[row + 1] - offsets[row]):
            copied[offsets[row] + at] = data[start[row] + at]


@numba.njit(cache=True)
def _scan(data: Any, places: Any, texts: Any, numbers: Any) -> bool:
    """Find the texts and read the numbers of all records; whether all are canonical."""
    for row in range(len(places) - 1):
        at, end = places[row], places[row + 1]
        for text, before in ((0, _USER), (1, _ITEM)):
            at = _after(data, at, end, before)
            if at < 0:
                return False
            texts[text, 0, row] = at
            at = _text_end(data, at, end, MAX_ID)
            texts[text, 1, row] = at
        for number, before in ((0, _RATING), (1, _TIMESTAMP)):
            at = _after(data, at, end, before)
            at = _number(data, at, end, numbers[number], row)
        if at < 0:
            return False
        if at < end and data[at] != _END:
            at = _after(data, at, end, _EVENT_ID)
            if at < 0:
                return False
            texts[2, 0, row] = at
            at = _text_end(data, at, end, MAX_EVENT_ID)
            texts[2, 1, row] = at
            if at < 0:
                return False
            at += 1
        if at != end - 1 or data[at] != _END:
            return False
    return True


@numba.njit(cache=True)
def _after(data: Any, at: int, end: int, text: Any) -> int:
    """Where it goes on behind this text; -1: it is not there, or nothing was before."""
    if at < 0 or at + len(text) > end:
        return -1
    for place in range(len(text)):
        if data[at + place] != text[place]:
            return -1
    return at + len(text)


@numba.njit(cache=True)
def _text_end(data: Any, at: int, end: int, longest: int) -> int:
    """Where the quote behind an id is; -1: that needs a closer look."""
    first, last = _PRINTABLE
    begin = at
    while 0 <= at < end:
        letter = data[at]
        if letter == _QUOTE:
            return at if 0 < at - begin <= longest else -1
        if letter < first or letter > last or letter == _BACKSLASH:
            return -1
        at += 1
    return -1


@numba.njit(cache=True)
def _number(data: Any, at: int, end: int, numbers: Any, row: int) -> int:
    """Read a number; where it goes on, or -1 where that needs a closer look."""
    if at < 0 or at >= end:
        return -1
    negative = data[at] == _MINUS
    if negative:
        at += 1
    begin = at
    digits, fraction, value = 0, -1, np.int64(0)
    while at < end:
        letter = data[at]
        if letter == _POINT and fraction < 0 and digits > 0:
            fraction = 0
        elif _ZERO <= letter < _ZERO + 10:
            value = 10 * value + np.int64(letter - _ZERO)
            digits += 1
            if fraction >= 0:
                fraction += 1
        else:
            break
        at += 1
    # JSON has no number without a digit on either side of the point, and none like 04.
    whole = digits if fraction < 0 else digits - fraction
    if digits == 0 or digits > _DIGITS or fraction == 0 or (whole > 1 and data[begin] == _ZERO):
        return -1
    read = float(value) if fraction < 0 else value / _POWERS[fraction]
    numbers[row] = -read if negative else read
    return at
