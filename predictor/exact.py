"""The model's scores of a few items, and the best of them: what a short list leaves, looked at.

The same sums as over all items (`recommender.ranking.blend_with_head`), in one compiled loop: of so
few numbers each call of numpy's would take longer than its work.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recommender.rows import Floats

Positions = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Number = float | np.float32

_NO_MASK = np.zeros(0, np.bool_)

_ARRAY = numba.types.Array
_MATRIX = _ARRAY(numba.float32, 2, "C", readonly=True)
_VECTOR = _ARRAY(numba.float32, 1, "C", readonly=True)
_POSITIONS = _ARRAY(numba.intp, 1, "C", readonly=True)
_MASK = _ARRAY(numba.boolean, 1, "C", readonly=True)


class Weighed(NamedTuple):
    """One person's part of a score ``scale V · Q + weight (base + b + U · P) + popular p``.

    Attributes
    ----------
    ranking : (ranking_rank,) float32
        V.
    factors : (rank,) float32
        U.
    scale, weight, base, popular : float
    """

    ranking: Floats
    factors: Floats
    scale: float
    weight: float
    base: float
    popular: float


def best_of(
    person: Weighed,
    ranking: Floats,
    factors: Floats,
    bias: Floats,
    popularity: Floats,
    among: Positions,
    first: int,
    excluded: Positions,
    refused: Mask | None,
    n: int,
) -> tuple[Positions, Floats]:
    """The items with the highest scores, best first; equals in the order of their positions.

    Parameters
    ----------
    person : Weighed
    ranking : (n_items, ranking_rank) float32
        Q.
    factors : (n_items, rank) float32
        P.
    bias, popularity : (n_items,) float32
    among : (m,) intp
        Positions looked at, each once.
    first : int
        All from this position on are looked at, too, unless excluded or refused.
    excluded : (k,) intp
    refused : (n_items,) bool, optional
    n : int

    Returns
    -------
    positions : (at most n,) intp
    scores : float32
    """
    if first < len(bias):
        excluded = np.sort(excluded)
    n = min(n, len(among) + max(len(bias) - first, 0))
    positions: Positions = np.empty(n, np.intp)
    scores: Floats = np.empty(n, np.float32)
    found = _best_of(
        ranking,
        person.ranking,
        factors,
        person.factors,
        bias,
        popularity,
        person.scale,
        person.weight,
        person.base,
        person.popular,
        among,
        first,
        excluded,
        _NO_MASK if refused is None else refused,
        positions,
        scores,
    )
    return positions[:found], scores[:found]


def highest_product(vectors: Floats, vector: Floats, among: Positions, first: int) -> float:
    """The highest product with a vector; 0 where none is above it.

    Parameters
    ----------
    vectors : (n, k) float32
    vector : (k,) float32
    among : (m,) intp
        Rows looked at.
    first : int
        All from this row on are, too.
    """
    return float(_highest_product(vectors, vector, among, first))


@numba.njit(
    numba.float32(_VECTOR, _VECTOR),
    cache=True,
    fastmath={"reassoc", "contract", "nsz"},
    nogil=True,
)
def _product(one: Floats, other: Floats) -> Number:
    found = np.float32(0)
    for f in range(len(other)):
        found += one[f] * other[f]
    return found


# Compiled when it is loaded, not during the first request.
@numba.njit(
    numba.float32(_MATRIX, _VECTOR, _POSITIONS, numba.intp),
    cache=True,
    nogil=True,
)
def _highest_product(vectors: Floats, vector: Floats, among: Positions, first: int) -> Number:
    highest: Number = np.float32(0)
    for place in among:
        highest = max(highest, _product(vectors[place], vector))
    for place in range(first, len(vectors)):
        highest = max(highest, _product(vectors[place], vector))
    return highest


@numba.njit(
    numba.intp(
        _MATRIX,
        _VECTOR,
        _MATRIX,
        _VECTOR,
        _VECTOR,
        _VECTOR,
        numba.float32,
        numba.float32,
        numba.float32,
        numba.float32,
        _POSITIONS,
        numba.intp,
        _POSITIONS,
        _MASK,
        numba.intp[::1],
        numba.float32[::1],
    ),
    cache=True,
    nogil=True,
)
def _best_of(
    ranking: Floats,
    taste: Floats,
    factors: Floats,
    person: Floats,
    bias: Floats,
    popularity: Floats,
    scale: Number,
    weight: Number,
    base: Number,
    popular: Number,
    among: Positions,
    first: int,
    excluded: Positions,
    refused: Mask,
    positions: Positions,
    scores: Floats,
) -> int:
    """Fill in the best; gives how many there are."""
    n, found = len(positions), 0
    for number in range(len(among) + max(len(bias) - first, 0)):
        if number < len(among):
            place = among[number]
        else:
            place = np.intp(first + number - len(among))
            if len(refused) and refused[place]:
                continue
            near = np.searchsorted(excluded, place)
            if near < len(excluded) and excluded[near] == place:
                continue
        score = weight * (_product(factors[place], person) + (bias[place] + base))
        score += scale * _product(ranking[place], taste)
        score += popular * popularity[place]
        if not score > -np.inf:
            continue
        at = found
        while at > 0 and (
            scores[at - 1] < score or (scores[at - 1] == score and positions[at - 1] > place)
        ):
            at -= 1
        if at == n:
            continue
        found = min(found + 1, n)
        for behind in range(found - 1, at, -1):
            scores[behind], positions[behind] = scores[behind - 1], positions[behind - 1]
        scores[at], positions[at] = score, place
    return found
