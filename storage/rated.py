"""What a user has rated, as the projection keeps it: one string that is only ever appended to.

A record is the rating (float32) and the length of the item's id in bytes (uint16), both
little-endian, then the id in UTF-8. Of several records of one item the last holds, so appending
one twice, or again after a crash, changes nothing.
"""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recommender.ordering import stable_order

_HEAD = struct.Struct("<fH")
_HEAD_COLUMNS = np.dtype([("rating", "<f4"), ("length", "<u2")])


def encode(
    users: pa.Array,
    items: pa.Array,
    ratings: npt.NDArray[np.float32],
    lengths: npt.NDArray[np.integer] | None = None,
) -> tuple[list[str], list[bytes]]:
    """What to append for each user.

    Parameters
    ----------
    users : (n_rows,) StringArray
    items : (length,) StringArray
    ratings : (length,) float32
        In the order in which they were given, as far as they are of one user.
    lengths : (n_rows,) integers, optional
        How many ratings follow each other of each entry of `users`; one, unless given.

    Returns
    -------
    users : list of str
        The distinct ones.
    records : list of bytes
        Each one's ratings, in the given order.
    """
    if not len(users):
        return [], []
    coded = users.dictionary_encode()
    codes = coded.indices.to_numpy()
    rows = stable_order(codes)
    if lengths is None:
        lengths = np.ones(len(users), np.int64)
    starts, following = np.cumsum(lengths) - lengths, lengths[rows]
    ends = np.cumsum(following)
    order = np.arange(ends[-1]) + np.repeat(starts[rows] - ends + following, following)
    ids = items.take(pa.array(order)).cast(pa.binary())
    heads = np.empty(len(order), _HEAD_COLUMNS)
    heads["rating"] = ratings[order]
    heads["length"] = pc.binary_length(ids).to_numpy()
    column = pa.Array.from_buffers(pa.binary(_HEAD.size), len(heads), [None, pa.py_buffer(heads)])
    records = pc.binary_join_element_wise(column.cast(pa.binary()), ids, b"")
    # One user's records follow each other in Arrow's buffer: their bytes are a slice of it.
    _, offsets, data = records.buffers()
    places = np.frombuffer(offsets, np.int32)
    last_rows = np.searchsorted(codes[rows], np.arange(len(coded.dictionary)), side="right") - 1
    cuts = places[np.append(0, ends[last_rows])].tolist()
    joined = data.to_pybytes()
    values = [joined[start:end] for start, end in pairwise(cuts)]
    return coded.dictionary.to_pylist(), values


def decode(records: bytes) -> dict[str, float]:
    """Item to rating, the latest of each; most recently rated last.

    Raises
    ------
    ValueError
        If the bytes are not whole records.
    """
    rated: dict[str, float] = {}
    at = 0
    while at < len(records):
        try:
            rating, length = _HEAD.unpack_from(records, at)
        except struct.error as error:
            raise ValueError(f"half a record at byte {at} of {len(records)}") from error
        at += _HEAD.size
        if at + length > len(records):
            raise ValueError(f"half an id at byte {at} of {len(records)}")
        item = records[at : at + length].decode()
        rated.pop(item, None)
        rated[item] = rating
        at += length
    return rated
