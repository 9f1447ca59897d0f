"""The rating head: ``r̂(x,y) = μ + b_x + b_y + U_x · P_y``, learned one rating at a time (B-SGD).

Each rating is tested, then learned (prequential). With ``e = r - r̂``, bounded by the width of the
scale, both rows' steps shrunk by
their own counts, ``γ_x = γ / (1 + n_x)^p``, and both vectors taken from their old values::

    b_x += γ'_x (e - λ b_x)        U_x += γ_x (e/s · P_y - λ U_x)
    b_y += γ'_y (e - λ b_y)        P_y += γ_y (e/s · U_x - λ P_y)

γ' is the biases' own learning rate (a bias is a mean and wants a smaller one: measured, see
docs/model.md), s the width of the scale over that of MovieLens, so that one setting of γ serves
any scale. No step overshoots: where the four changes together would move r̂ past r (their gain
``γ'_x + γ'_y + (γ_x |P_y|² + γ_y |U_x|²)/s`` exceeds 1) all are divided by that gain, so that no
setting and no data make the model diverge. μ is the mean of all ratings before this one, with half
the scale as one more.

References: Funk (2006); Koren, Bell and Volinsky (2009), "Matrix factorization techniques".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recommender.rows import Floats, Rows

Codes = npt.NDArray[np.int32]

# Reassociation lets the dot product use vector instructions; NaN and infinity keep their meaning.
_FASTMATH = {"reassoc", "contract", "nsz"}
# Steps for smaller counts are looked up: a power would cost as much as the rest of the step.
_TABLED_COUNTS = 4096


@dataclass
class Mean:
    """μ: the running mean of all ratings learned, with half the scale counted as one rating.

    Attributes
    ----------
    total, count : float, int
        Sum and number of the ratings learned.
    middle : float
        Half the scale: the mean before anything has been learned.
    """

    middle: float
    total: float = 0.0
    count: int = 0

    @property
    def value(self) -> float:
        """The mean as of now, in rating units."""
        return (self.total + self.middle) / (self.count + 1)

    def before_each(self, ratings: Floats) -> npt.NDArray[np.float64]:
        """μ before each of these ratings, ``(length,)``, and take them in.

        Summed in order in double precision: the same bits wherever the stream is cut in batches.
        """
        means, self.total = _running_means(ratings, self.total, self.count, self.middle)
        self.count += len(ratings)
        return means  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Step:
    """The settings of one gradient step, in the kernel's form.

    Attributes
    ----------
    learning_rate, bias_learning_rate, regularization, decay : float
        γ, γ', λ, p of the module's formula.
    low, high : float
        The scale; predictions are clipped to it for measuring, errors to its width for learning.
    unit : float
        s of the module's formula.
    """

    learning_rate: float
    bias_learning_rate: float
    regularization: float
    decay: float
    low: float
    high: float

    @property
    def unit(self) -> float:
        """The factor s of the module's formula."""
        return scale_unit(self.low, self.high)

    @property
    def shrinking(self) -> Floats:
        """``1 / (1 + n)^p`` for the tabled counts n."""
        return ((1.0 + np.arange(_TABLED_COUNTS)) ** -self.decay).astype(np.float32)


@dataclass(frozen=True)
class Errors:
    """Sums of prequential errors over ratings, each tested before it was learned.

    ``warm`` are the ratings whose user and item had both been rated before.
    """

    ratings: int = 0
    squared: float = 0.0
    absolute: float = 0.0
    warm_ratings: int = 0
    warm_squared: float = 0.0

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.ratings + other.ratings,
            self.squared + other.squared,
            self.absolute + other.absolute,
            self.warm_ratings + other.warm_ratings,
            self.warm_squared + other.warm_squared,
        )

    @property
    def rmse(self) -> float:
        """Root mean squared error, in rating units; NaN without ratings."""
        return float(np.sqrt(self.squared / self.ratings)) if self.ratings else float("nan")

    @property
    def mae(self) -> float:
        """Mean absolute error, in rating units; NaN without ratings."""
        return self.absolute / self.ratings if self.ratings else float("nan")


def scale_unit(low: float, high: float) -> float:
    """The width of a scale in widths of MovieLens's, on which the defaults were measured."""
    return (high - low) / 4.5


def learn(
    users: Codes,
    items: Codes,
    ratings: Floats,
    means: npt.NDArray[np.float64],
    user_rows: Rows,
    item_rows: Rows,
    step: Step,
) -> Errors:
    """Test and learn ratings in their order, in place; counts included.

    Parameters
    ----------
    users, items : (length,) int32
        Positions in ``user_rows`` and ``item_rows``.
    ratings : (length,) float32
    means : (length,) float64
        μ before each rating.
    user_rows, item_rows : Rows
    step : Step

    Returns
    -------
    Errors
        Prequential, of predictions clipped to the scale.
    """
    return Errors(
        len(ratings), *_step(users, items, ratings, means, user_rows, item_rows, step, True)
    )


def relearn(
    users: Codes,
    items: Codes,
    ratings: Floats,
    mean: float,
    user_rows: Rows,
    item_rows: Rows,
    step: Step,
) -> None:
    """Step again along ratings already counted (inner passes, replay); arguments as in `learn`."""
    _step(users, items, ratings, np.full(len(ratings), mean), user_rows, item_rows, step, False)


def predict(users: Codes, items: Codes, mean: float, user_rows: Rows, item_rows: Rows) -> Floats:
    """r̂ for pairs, unclipped, ``(length,)`` float32; position -1 is a row that does not exist."""
    return _predict(  # type: ignore[no-any-return]
        users, items, mean, user_rows.bias, user_rows.factors, item_rows.bias, item_rows.factors
    )


def _step(
    users: Codes,
    items: Codes,
    ratings: Floats,
    means: npt.NDArray[np.float64],
    user_rows: Rows,
    item_rows: Rows,
    step: Step,
    count: bool,
) -> tuple[float, float, int, float]:
    result: tuple[float, float, int, float] = _learn(
        users,
        items,
        ratings,
        means,
        user_rows.n,
        user_rows.bias,
        user_rows.factors,
        item_rows.n,
        item_rows.bias,
        item_rows.factors,
        np.float32(step.learning_rate),
        np.float32(step.bias_learning_rate),
        np.float32(step.regularization),
        np.float32(step.decay),
        step.shrinking,
        np.float32(step.low),
        np.float32(step.high),
        np.float32(1 / step.unit),
        count,
    )
    return result


@numba.njit(cache=True)
def _running_means(ratings: Any, total: float, count: int, middle: float) -> Any:
    means = np.empty(len(ratings), np.float64)
    for j in range(len(ratings)):
        means[j] = (total + middle) / (count + 1)
        total += ratings[j]
        count += 1
    return means, total


@numba.njit(cache=True, fastmath=_FASTMATH, nogil=True)
def _learn(
    users: Any,
    items: Any,
    ratings: Any,
    means: Any,
    user_n: Any,
    user_bias: Any,
    user_factors: Any,
    item_n: Any,
    item_bias: Any,
    item_factors: Any,
    rate: Any,
    bias_rate: Any,
    regularization: Any,
    decay: Any,
    shrinking: Any,
    low: Any,
    high: Any,
    per_unit: Any,
    count: bool,
) -> Any:
    rank = user_factors.shape[1]
    tabled = len(shrinking)
    one = np.float32(1)
    squared, absolute, warm_squared = 0.0, 0.0, 0.0
    warm = 0
    for j in range(len(users)):
        x, y = users[j], items[j]
        dot, length_x, length_y = np.float32(0), np.float32(0), np.float32(0)
        for f in range(rank):
            u, p = user_factors[x, f], item_factors[y, f]
            dot += u * p
            length_x += u * u
            length_y += p * p
        predicted = np.float32(means[j]) + user_bias[x] + item_bias[y] + dot

        shown = np.float64(min(max(predicted, low), high)) - ratings[j]
        squared += shown * shown
        absolute += abs(shown)
        if user_n[x] > 0 and item_n[y] > 0:
            warm += 1
            warm_squared += shown * shown

        error = min(max(ratings[j] - predicted, low - high), high - low)
        nx, ny = user_n[x], item_n[y]
        shrink_x = (
            shrinking[nx] if nx < tabled else np.float32(one / (one + np.float32(nx)) ** decay)
        )
        shrink_y = (
            shrinking[ny] if ny < tabled else np.float32(one / (one + np.float32(ny)) ** decay)
        )
        bias_x, bias_y = bias_rate * shrink_x, bias_rate * shrink_y
        rate_x, rate_y = rate * shrink_x, rate * shrink_y
        gain = bias_x + bias_y + per_unit * (rate_x * length_y + rate_y * length_x)
        if gain > one:
            bias_x, bias_y = bias_x / gain, bias_y / gain
            rate_x, rate_y = rate_x / gain, rate_y / gain
        user_bias[x] += bias_x * (error - regularization * user_bias[x])
        item_bias[y] += bias_y * (error - regularization * item_bias[y])
        scaled = error * per_unit
        for f in range(rank):
            u, p = user_factors[x, f], item_factors[y, f]
            user_factors[x, f] = u + rate_x * (scaled * p - regularization * u)
            item_factors[y, f] = p + rate_y * (scaled * u - regularization * p)
        if count:
            user_n[x] += 1
            item_n[y] += 1
    return squared, absolute, warm, warm_squared


@numba.njit(cache=True, fastmath=_FASTMATH, nogil=True)
def _predict(
    users: Any,
    items: Any,
    mean: float,
    user_bias: Any,
    user_factors: Any,
    item_bias: Any,
    item_factors: Any,
) -> Any:
    predicted = np.empty(len(users), np.float32)
    for j in range(len(users)):
        x, y = users[j], items[j]
        total = np.float32(mean)
        if x >= 0:
            total += user_bias[x]
        if y >= 0:
            total += item_bias[y]
        if x >= 0 and y >= 0:
            for f in range(user_factors.shape[1]):
                total += user_factors[x, f] * item_factors[y, f]
        predicted[j] = total
    return predicted
