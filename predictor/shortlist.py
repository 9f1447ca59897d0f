"""The few items that can be among the best, found by a first look at a quarter of the bytes.

A score for every item reads all factors of all items, and what that takes is the memory's time. So
each factor is also kept as one byte in parts of its row's largest. What a score by those bytes can
be wrong by is bounded, and only items whose bound reaches the n-th best are looked at exactly: the
result is that of looking at all of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recommender.rows import Floats

Positions = npt.NDArray[np.intp]
Codes = npt.NDArray[np.int8]

FEWEST_ITEMS = 4096
"""Items from which on the first look pays: below it both ways take some 30 µs."""

_BLOCK = 64  # items side by side: a vector register's worth of bytes
_STEP = 4  # factors taken together
_LARGEST = 127

_ERROR = 0.51
"""Of a row's scale times ‖v‖₁: half a step of each code, and 2 % for float32's own rounding, which
is at most 0.4 % of it at the largest rank."""


class CodedVectors:
    """Vectors of one head, a byte a factor.

    Row y is ``scale_y · code_y`` with ``scale_y = max|y| / 127``. Codes lie in blocks of 64 items,
    factor by factor, so that one instruction works on many items.

    Parameters
    ----------
    capacity : int
        Items.
    rank : int
        Factors.
    """

    def __init__(self, capacity: int, rank: int) -> None:
        self.rank = rank
        padded = -(-rank // _STEP) * _STEP
        self.codes: Codes = np.zeros((-(-capacity // _BLOCK), padded, _BLOCK), np.int8)
        self.scales: Floats = np.zeros(capacity, np.float32)

    def grown(self, capacity: int) -> CodedVectors:
        """The same, with room for more."""
        grown = CodedVectors(capacity, self.rank)
        grown.codes[: len(self.codes)] = self.codes
        grown.scales[: len(self.scales)] = self.scales
        return grown

    def put(self, where: Positions, vectors: Floats) -> None:
        """Set the vectors at some positions."""
        if not self.rank:
            return
        scales = np.abs(vectors).max(axis=1, initial=0) / np.float32(_LARGEST)
        self.scales[where] = scales
        coded = np.rint(vectors / np.maximum(scales, np.float32(1e-30))[:, None])
        self.codes[where // _BLOCK, : self.rank, where % _BLOCK] = coded.astype(np.int8)

    def products(self, vector: Floats, n_items: int) -> tuple[Floats, float]:
        """Each item's product with a vector as the codes give it, and the bound of its error.

        Returns
        -------
        products : (n_items,) float32
        bound : float
            The error of an item's product is at most this times its scale.
        """
        padded = np.zeros(self.codes.shape[1], np.float32)
        padded[: self.rank] = vector
        blocks = -(-n_items // _BLOCK)
        found = np.empty(blocks * _BLOCK, np.float32)
        _products(self.codes[:blocks], padded, found)
        products: Floats = found[:n_items]
        products *= self.scales[:n_items]
        return products, _ERROR * float(np.abs(vector).sum())


class Term(NamedTuple):
    """One head's part in a score.

    Attributes
    ----------
    coded : CodedVectors
    vectors : (n_items, rank) float32
        The same, exactly.
    vector : (rank,) float32
        The user's.
    """

    coded: CodedVectors
    vectors: Floats
    vector: Floats


def highest_product(term: Term, products: Floats, bound: float) -> float:
    """The highest product of all items, exactly; 0 where none is above it."""
    errors = term.coded.scales[: len(products)] * np.float32(bound)
    least = max(float((products - errors).max(initial=0)), 0.0)
    candidates = np.flatnonzero(products + errors >= least)
    return float((term.vectors[candidates] @ term.vector).max(initial=0))


def can_be_best(scores: Floats, errors: Floats, n: int) -> Positions:
    """Positions of the items that can be among the `n` best, in order of position.

    Parameters
    ----------
    scores : (n_items,) float32
        −∞ for those that must not be; changed.
    errors : (n_items,) float32
        What each score is wrong by at most; changed.
    n : int
        At most ``n_items``.
    """
    lowest = scores - errors
    bound = np.partition(lowest, len(lowest) - n)[len(lowest) - n]
    scores += errors
    return np.flatnonzero((scores >= bound) & (scores > -np.inf))


# Compiled when it is loaded, not during the first request.
@numba.njit(
    "void(int8[:, :, ::1], float32[::1], float32[::1])",
    cache=True,
    fastmath={"reassoc", "contract", "nsz"},
    nogil=True,
)
def _products(codes: Codes, vector: Floats, products: Floats) -> None:
    blocks, rank, _ = codes.shape
    sums = np.empty(_BLOCK, np.float32)
    for block in range(blocks):
        for lane in range(_BLOCK):
            sums[lane] = 0
        for k in range(0, rank, _STEP):
            v0, v1, v2, v3 = vector[k], vector[k + 1], vector[k + 2], vector[k + 3]
            for lane in range(_BLOCK):
                sums[lane] += (
                    np.float32(codes[block, k, lane]) * v0
                    + np.float32(codes[block, k + 1, lane]) * v1
                    + np.float32(codes[block, k + 2, lane]) * v2
                    + np.float32(codes[block, k + 3, lane]) * v3
                )
        for lane in range(_BLOCK):
            products[block * _BLOCK + lane] = sums[lane]
