"""The few items that can be among the best, found without a look at most of the others.

What an item can score at most follows from the lengths of its vectors (Cauchy and Schwarz):
``V · Q ≤ ‖V‖ ‖Q‖``. Items are kept in blocks in the order of that, so a block in which no item can
come up to the n-th best found so far is passed over: of a large catalogue nearly all of them, since
items with few ratings have short vectors. For those looked at each factor is also kept as one byte
in parts of its row's largest, a quarter of what memory must deliver. What a score by those bytes
can be wrong by is bounded, too, and only items whose bound reaches the n-th best are looked at
exactly: the result is that of looking at all of them.

The order by length with early end is that of Teflioudi, Gemulla and Mykytiuk (2015), "LEMP: fast
retrieval of large entries in a matrix product".
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from recommender.rows import Floats, Rows

Positions = npt.NDArray[np.intp]
Codes = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]
Number = float | np.float32

FEWEST_ITEMS = 4096
"""Items from which on the first look pays: below it both ways take some 30 µs."""

REORDERED_SHARE = 4
"""Put in order again once one item in so many has changed: work in proportion to the changes."""

_BLOCK = 64  # items side by side: a vector register's worth of bytes
_STEP = 4  # factors taken together
_LARGEST = 127
_MOST_SEARCHED = 4096  # positions looked up by halving; more are marked in a mask

_ERROR = 0.51
"""Of a row's scale times ‖v‖₁: half a step of each code, and 2 % for float32's own rounding, which
is at most 0.4 % of it at the largest rank."""

ROUNDING = 1e-6
"""Of a score: what float32's rounding in adding up its parts may come to."""

_LONGER = np.float32(1 + 1e-5)
"""Lengths are rounded, too: a bound must not be too low for that."""

_STEEPNESS = 2.0
"""A person's length over that person's highest product, where the longest vector of an item has
length 1: 1.5 to 5 in models drawn at random. It decides the time of a search, not its result."""

_NO_MASK = np.zeros(0, np.bool_)


class CodedVectors:
    """Vectors of one head, a byte a factor.

    Row y is ``scale_y · code_y`` with ``scale_y = max|y| / 127``. Codes lie in blocks of 64 rows,
    factor by factor, so that one instruction works on many rows.

    Parameters
    ----------
    capacity : int
        Rows.
    rank : int
        Factors.

    Attributes
    ----------
    codes : (blocks, rank, 64) int8
        The rank is rounded up to a multiple of four by factors that are 0.
    scales : (64 * blocks,) float32
    longest : (blocks,) float32
        At least the length of each vector of a block.
    """

    def __init__(self, capacity: int, rank: int) -> None:
        self.rank = rank
        blocks = -(-capacity // _BLOCK)
        self.codes: Codes = np.zeros((blocks, -(-rank // _STEP) * _STEP, _BLOCK), np.int8)
        self.scales: Floats = np.zeros(blocks * _BLOCK, np.float32)
        self.longest: Floats = np.zeros(blocks, np.float32)

    def put(self, slots: Positions, vectors: Floats, rows: Positions) -> None:
        """Set the codes at some slots from some rows of vectors."""
        if self.rank:
            _encode(self.codes, self.scales, self.longest, slots, vectors, rows)

    def multiplier(self, vector: Floats) -> tuple[Floats, float, float]:
        """A vector to multiply by, and what bounds its products.

        Returns
        -------
        padded : (rank rounded up,) float32
            The vector, as long as a row of codes.
        length : float
            At least its length.
        error : float
            The error of a product is at most this times the row's scale.
        """
        padded: Floats = np.zeros(self.codes.shape[1], np.float32)
        length, error = _multiplier(vector, padded)
        return padded, length, error


class OrderedItems:
    """All items at the time it is made, in the order of what they can score.

    Written on the thread that reads it. Items that come later are not in it; whoever searches looks
    at them all.

    Parameters
    ----------
    rows : Rows
        Of the items by position, and maybe more behind them.
    popular : (length,) float32
        What a person's weight of popularity is multiplied by.
    lengths : (length,) float32
        Of the vectors that rank: the ranking head's, where there is one.
    bias_weight : float
        What a person's score has of an item's bias.

    Attributes
    ----------
    length : int
        Items in it: those at the positions below.
    """

    def __init__(self, rows: Rows, popular: Floats, lengths: Floats, bias_weight: float) -> None:
        self.length = length = len(popular)
        form = rows.format
        self._ranking = CodedVectors(length, form.ranking_rank)
        self._factors = CodedVectors(length, form.rank)
        slots = len(self._ranking.scales)
        blocks = len(self._ranking.longest)
        # Places beyond the last item have no position and are never chosen.
        self._positions = np.full(slots, -1, np.int32)
        self._bias = np.zeros(slots, np.float32)
        self._popular = np.zeros(slots, np.float32)
        self._highest_bias = np.full(blocks, -np.inf, np.float32)
        self._most_popular = np.full(blocks, -np.inf, np.float32)
        # The bound of a sum is lower than the sum of the bounds, so the two that matter most of a
        # score are also kept as one: s ‖Q‖ + w b, with a usual s.
        self._steepness = 0.0
        if form.ranking_rank:
            self._steepness = _STEEPNESS / max(float(lengths.max(initial=0)), 1e-9)
        self._bias_weight = bias_weight
        self._reach = np.full(blocks, -np.inf, np.float32)
        self._shortest = np.full(blocks, np.inf, np.float32)
        reach = self._reach_of(lengths, rows.bias[:length])
        if not form.ranking_rank:
            reach = lengths + reach + popular
        order = np.argsort(-reach, kind="stable")
        self._positions[:length] = order
        self._slots = np.empty(length, np.int32)
        self._slots[order] = np.arange(length, dtype=np.int32)
        self._has_changed: Mask = np.zeros(length, np.bool_)
        self.changed = 0
        """Items whose rows have been put since; popular ones are put in every micro-batch."""
        # In the order of the slots, which writes to memory one place after the other.
        self._put(order, rows, popular[order], lengths[order])

    def _reach_of(self, lengths: Floats, bias: Floats) -> Floats:
        reach: Floats = np.float32(self._steepness) * lengths + np.float32(self._bias_weight) * bias
        return reach

    @property
    def holders(self) -> list[object]:
        """The objects that have its arrays."""
        return [self, self._ranking, self._factors]

    def put(self, positions: Positions, rows: Rows, popular: Floats, lengths: Floats) -> None:
        """Take over the rows at some positions; those of later items are left out.

        Parameters
        ----------
        positions : (m,) intp
            Each once.
        rows : Rows
            Of all items by position.
        popular, lengths : (m,) float32
            As at the beginning, of the items at these positions.
        """
        known = positions < self.length
        positions = positions[known]
        self.changed += int(np.count_nonzero(~self._has_changed[positions]))
        self._has_changed[positions] = True
        self._put(positions, rows, popular[known], lengths[known])

    def _put(self, positions: Positions, rows: Rows, popular: Floats, lengths: Floats) -> None:
        slots = self._slots[positions].astype(np.intp)
        self._ranking.put(slots, rows.ranking, positions)
        self._factors.put(slots, rows.factors, positions)
        bias = rows.bias[positions]
        self._bias[slots] = bias
        self._popular[slots] = popular
        # What a block can reach is only ever raised, until the items are put in order again.
        blocks = slots // _BLOCK
        np.maximum.at(self._highest_bias, blocks, bias)
        np.maximum.at(self._most_popular, blocks, popular)
        np.maximum.at(self._reach, blocks, self._reach_of(lengths * _LONGER, bias))
        np.minimum.at(self._shortest, blocks, lengths / _LONGER)

    def due(self, length: int) -> bool:
        """Whether so much has changed, of so many items, that they should be put in order again."""
        return (self.changed + length - self.length) * REORDERED_SHARE > length

    def search(self, vector: Floats) -> Search:
        """Begin to look for the items of a person.

        Parameters
        ----------
        vector : (ranking_rank,) float32
            V.
        """
        return Search(self, vector)


class Search:
    """One person's search, while no item is put: what is worked out for one question is kept.

    Parameters
    ----------
    ordered : OrderedItems
    vector : (ranking_rank,) float32
        V.
    """

    def __init__(self, ordered: OrderedItems, vector: Floats) -> None:
        self._ordered = ordered
        self._vector, self._length, self._error = ordered._ranking.multiplier(vector)
        # V · Q by the codes, of those blocks that have been looked at.
        blocks = len(ordered._ranking.longest)
        self._products: Floats = np.empty((blocks, _BLOCK), np.float32)
        self._multiplied: Mask = np.zeros(blocks, np.bool_)

    def longest_product(self) -> Positions:
        """Positions among which is the item with the highest V · Q; none if none is above 0."""
        ordered = self._ordered
        found: Positions = _highest(
            ordered._ranking.codes,
            ordered._ranking.scales,
            ordered._ranking.longest,
            self._vector,
            self._length,
            self._error,
            self._products,
            self._multiplied,
            ordered._positions,
        )
        return found

    def best(
        self,
        scale: float,
        factors: Floats,
        bias: float,
        popular: float,
        base: float,
        n: int,
        excluded: Positions,
        refused: Mask | None,
    ) -> Positions:
        """Positions that hold the `n` best, and some more, in no order.

        Best by ``scale V · Q + factors · P + bias b + popular p``.

        Parameters
        ----------
        scale : float
            Not negative.
        factors : (rank,) float32
        bias, popular : float
            Weights, not negative.
        base : float
            What is added to all; only for the errors by rounding.
        n : int
        excluded : (m,) intp
            Positions that must not be among them.
        refused : (n_items,) bool, optional
            More of these.
        """
        ordered = self._ordered
        if len(excluded) > _MOST_SEARCHED:
            refused = np.zeros(ordered.length, np.bool_) if refused is None else refused.copy()
            refused[excluded[excluded < len(refused)]] = True
            excluded = excluded[:0]
        found: Positions = _best(
            ordered._ranking.codes,
            ordered._ranking.scales,
            ordered._ranking.longest,
            self._vector,
            scale,
            self._length * scale,
            self._error * scale,
            self._products,
            self._multiplied,
            ordered._factors.codes,
            ordered._factors.scales,
            ordered._factors.longest,
            *ordered._factors.multiplier(factors),
            ordered._bias,
            ordered._highest_bias,
            bias,
            ordered._reach,
            ordered._shortest,
            # For another weight of the bias than it was made for, the one bound says nothing.
            ordered._steepness if bias == ordered._bias_weight else np.inf,
            ordered._popular,
            ordered._most_popular,
            popular,
            ROUNDING * (abs(base) + 1),
            ordered._positions,
            np.sort(excluded),
            _NO_MASK if refused is None else refused,
            n,
        )
        return found


# Compiled when it is loaded, not during the first request.
@numba.njit("UniTuple(float64, 2)(float32[::1], float32[::1])", cache=True, nogil=True)
def _multiplier(vector: Floats, padded: Floats) -> tuple[float, float]:
    squares, sizes = 0.0, 0.0
    for k in range(len(vector)):
        value = np.float64(vector[k])
        squares += value * value
        sizes += abs(value)
        padded[k] = vector[k]
    return np.sqrt(squares) * np.float64(_LONGER), _ERROR * sizes


@numba.njit(
    "void(int8[:, :, ::1], float32[::1], float32[::1], intp[::1], float32[:, ::1], intp[::1])",
    cache=True,
    nogil=True,
)
def _encode(
    codes: Codes,
    scales: Floats,
    longest: Floats,
    slots: Positions,
    vectors: Floats,
    rows: Positions,
) -> None:
    rank = vectors.shape[1]
    for place in range(len(slots)):
        slot, row = slots[place], rows[place]
        largest, squares = np.float32(0), np.float32(0)
        for k in range(rank):
            value = vectors[row, k]
            largest = max(largest, abs(value))
            squares += value * value
        scale = largest / np.float32(_LARGEST)
        scales[slot] = scale
        block, lane = slot // _BLOCK, slot % _BLOCK
        longest[block] = max(longest[block], np.sqrt(squares) * _LONGER)
        scale = max(scale, np.float32(1e-30))
        for k in range(rank):
            codes[block, k, lane] = np.int8(np.rint(vectors[row, k] / scale))


@numba.njit(
    "float32(int8[:, :, ::1], float32[::1], intp, float32[::1], float32, float32[::1])",
    cache=True,
    fastmath={"reassoc", "contract", "nsz", "nnan"},
    nogil=True,
)
def _products(
    codes: Codes, scales: Floats, block: int, vector: Floats, error: Number, products: Floats
) -> Number:
    """Add a block's products with a vector; gives the highest sum, with its error."""
    sums = np.zeros(_BLOCK, np.float32)
    for k in range(0, len(vector), _STEP):
        v0, v1, v2, v3 = vector[k], vector[k + 1], vector[k + 2], vector[k + 3]
        for lane in range(_BLOCK):
            sums[lane] += (
                np.float32(codes[block, k, lane]) * v0
                + np.float32(codes[block, k + 1, lane]) * v1
                + np.float32(codes[block, k + 2, lane]) * v2
                + np.float32(codes[block, k + 3, lane]) * v3
            )
    first = block * _BLOCK
    highest = np.float32(-1e30)
    for lane in range(_BLOCK):
        products[lane] += sums[lane] * scales[first + lane]
        highest = max(highest, products[lane] + scales[first + lane] * error)
    return highest


@numba.njit(cache=True, nogil=True)
def _appended(
    found: npt.NDArray[np.int32], bounds: Floats, count: int, position: int, bound: Number
) -> tuple[npt.NDArray[np.int32], Floats]:
    """A list that doubles when it is full."""
    if count == len(found):
        found, bounds = np.concatenate((found, found)), np.concatenate((bounds, bounds))
    found[count], bounds[count] = position, bound
    return found, bounds


@numba.njit(
    "intp[::1](int8[:, :, ::1], float32[::1], float32[::1], float32[::1], float32, float64,"
    " float32[:, ::1], boolean[::1], int32[::1])",
    cache=True,
    nogil=True,
)
def _highest(
    codes: Codes,
    scales: Floats,
    longest: Floats,
    vector: Floats,
    length: Number,
    error: Number,
    products: Floats,
    multiplied: Mask,
    positions: npt.NDArray[np.int32],
) -> Positions:
    found, bounds, count = np.empty(256, np.int32), np.empty(256, np.float32), 0
    least = np.float32(0)
    wrong = np.float32(error)
    for block in range(len(longest)):
        if longest[block] * length <= least:
            continue
        sums = products[block]
        sums[:] = 0
        multiplied[block] = True
        if _products(codes, scales, block, vector, wrong, sums) <= least:
            continue
        for lane in range(_BLOCK):
            slot = block * _BLOCK + lane
            high = sums[lane] + scales[slot] * wrong
            if high > least and positions[slot] >= 0:
                least = max(least, sums[lane] - scales[slot] * wrong)
                found, bounds = _appended(found, bounds, count, positions[slot], high)
                count += 1
    return found[:count][bounds[:count] >= least].astype(np.intp)


@numba.njit(
    "float32(float32[::1], float32[::1], intp, float32, float32, float32, float32[::1], float32,"
    " float32[::1], float32[::1])",
    cache=True,
    fastmath={"reassoc", "contract", "nsz", "nnan"},
    nogil=True,
)
def _bounds(
    products: Floats,
    scales: Floats,
    block: int,
    scale: Number,
    wrong: Number,
    bias_weight: Number,
    bias: Floats,
    popular_weight: Number,
    popular: Floats,
    sums: Floats,
) -> Number:
    """What a block's items score without factors, at most; gives the highest."""
    first = block * _BLOCK
    highest = np.float32(-1e30)
    for lane in range(_BLOCK):
        slot = first + lane
        sums[lane] = (
            bias_weight * bias[slot]
            + popular_weight * popular[slot]
            + scale * products[lane]
            + wrong * scales[slot]
        )
        highest = max(highest, sums[lane])
    return highest


@numba.njit(
    "intp[::1](int8[:, :, ::1], float32[::1], float32[::1], float32[::1], float32, float32,"
    " float64, float32[:, ::1], boolean[::1],"
    " int8[:, :, ::1], float32[::1], float32[::1], float32[::1], float32, float64,"
    " float32[::1], float32[::1], float32, float32[::1], float32[::1], float32,"
    " float32[::1], float32[::1], float32, float32,"
    " int32[::1], intp[::1], boolean[::1], intp)",
    cache=True,
    nogil=True,
)
def _best(
    ranking_codes: Codes,
    ranking_scales: Floats,
    longest_ranking: Floats,
    ranking: Floats,
    ranking_scale: Number,
    ranking_length: Number,
    ranking_error: Number,
    products: Floats,
    multiplied: Mask,
    factor_codes: Codes,
    factor_scales: Floats,
    longest_factors: Floats,
    factors: Floats,
    factor_length: Number,
    factor_error: Number,
    bias: Floats,
    highest_bias: Floats,
    bias_weight: Number,
    reach: Floats,
    shortest: Floats,
    steepness: Number,
    popular: Floats,
    most_popular: Floats,
    popular_weight: Number,
    rounding: Number,
    positions: npt.NDArray[np.int32],
    excluded: Positions,
    refused: Mask,
    n: int,
) -> Positions:
    sums = np.empty(_BLOCK, np.float32)
    found, bounds, count = np.empty(1024, np.int32), np.empty(1024, np.float32), 0
    best = np.full(n, -np.inf, np.float32)  # lower bounds of the n best so far, falling
    least = np.float32(-np.inf)
    wrong_ranking, wrong_factors = np.float32(ranking_error), np.float32(factor_error)
    steeper = ranking_length - steepness
    for block in range(len(highest_bias)):
        by_factors = factor_length * longest_factors[block] + rounding
        reached = ranking_length * longest_ranking[block] + bias_weight * highest_bias[block]
        if steepness < np.inf:
            end = longest_ranking[block] if steeper > 0 else shortest[block]
            reached = min(reached, reach[block] + steeper * end)
        reached += popular_weight * most_popular[block] + by_factors
        if reached + np.float32(ROUNDING) * np.abs(reached) < least:
            continue
        if not multiplied[block]:
            multiplied[block] = True
            products[block] = 0
            _products(ranking_codes, ranking_scales, block, ranking, wrong_ranking, products[block])
        highest = _bounds(
            products[block],
            ranking_scales,
            block,
            ranking_scale,
            wrong_ranking,
            bias_weight,
            bias,
            popular_weight,
            popular,
            sums,
        )
        if highest + by_factors + np.float32(ROUNDING) * np.abs(highest) < least:
            continue
        highest = _products(factor_codes, factor_scales, block, factors, wrong_factors, sums)
        if highest + rounding + np.float32(ROUNDING) * np.abs(highest) < least:
            continue
        for lane in range(_BLOCK):
            slot = block * _BLOCK + lane
            score = sums[lane] - ranking_scales[slot] * wrong_ranking
            error = (
                ranking_scales[slot] * wrong_ranking
                + factor_scales[slot] * wrong_factors
                + rounding
                + np.float32(ROUNDING) * np.abs(score)
            )
            if score + error < least:
                continue
            position = positions[slot]
            if position < 0 or (len(refused) and refused[position]):
                continue
            place = np.searchsorted(excluded, position)
            if place < len(excluded) and excluded[place] == position:
                continue
            found, bounds = _appended(found, bounds, count, position, score + error)
            count += 1
            lower = score - error
            if lower > least:
                at = n - 1
                while at > 0 and best[at - 1] < lower:
                    best[at] = best[at - 1]
                    at -= 1
                best[at] = lower
                least = best[n - 1]
    return found[:count][bounds[:count] >= least].astype(np.intp)
