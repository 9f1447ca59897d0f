"""The ranking head: ``V_x · Q_y``, learned from the same ratings to put the right items on top.

A second pair of vectors, since one set of factors for both purposes ruins the RMSE. Squared loss:
the rated item is pulled towards 1 with the rating's weight (`weights`), sampled items that the
user has not rated towards 0::

    e_y = w_r (1 - V_x · Q_y)            the rated item y, L2 on both rows
    e_z = -w₀ c_z (V_x · Q_z)            each of the negatives z
    g_Q = e V_x - λ Q                    stepped at once, row by row
    g_V = Σ e Q - λ V_x                  stepped once for the rating

with row-wise Adagrad, step ``γ / √(Σ‖g‖²/k + ε)``. Negatives come from the distinct items of the
micro-batch, so that no foreign row is touched; c_z undoes that popular items are more likely to
be in it: the inverse of that probability, ``1 / (1 - (1 - p_z)^B)``, with mean 1 and at most 10.

The loss counts every rating the same, so who has rated much decides most. With a balance τ above 0
what is learned of user x, negatives and λ included, is multiplied by ``(n_x/100)^-τ``: at 1 every
user would count the same, as in the figures that lists are judged by.

References: Hu, Koren and Volinsky (2008), "Collaborative filtering for implicit feedback datasets";
Duchi, Hazan and Singer (2011), "Adaptive subgradient methods".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from recommender.initial import mixed
from recommender.rating_head import Codes
from recommender.rows import Counts, Floats, Rows

# A candidate that is in one of a hundred batches must not outweigh all others together.
_HIGHEST_CORRECTION = 10.0
_EPSILON = 1e-6  # keeps the first step of a row finite
# Whose ratings weigh the same with any balance. Adagrad makes it as good as irrelevant.
_USUAL_RATINGS = 100.0


@dataclass(frozen=True)
class RankingStep:
    """The settings of the ranking head, in the kernel's form.

    Attributes
    ----------
    learning_rate : float
        γ.
    regularization : float
        λ, on the user and the rated item.
    negatives : int
        Items drawn for each rating; those that the user has rated are passed over.
    negative_weight : float
        w₀.
    balance : float
        τ: from 0, each rating counts the same, to 1, each user does.
    """

    learning_rate: float
    regularization: float
    negatives: int
    negative_weight: float
    balance: float = 0.0


# A half-star scale's values must not fall off the edge by rounding.
_SHARES = np.array([5 / 9 - 1e-4, 7 / 9 - 1e-4], np.float32)
_WEIGHTS = np.array([0.1, 0.5, 1.0], np.float32)


def weights(ratings: Floats, low: float, high: float) -> Floats:
    """How much a rating says "show me such items": w_r.

    From 7/9 of the scale on (4 of MovieLens's 0.5 to 5) 1, from 5/9 on (3) 0.5, below 0.1.
    """
    share = (ratings - low) / (high - low)
    weight: Floats = _WEIGHTS[_SHARES.searchsorted(share, side="right")]
    return weight


def shares(counts: Counts, balance: float) -> Floats:
    """By what the ratings of users with so many are multiplied: ``(n_x/100)^-τ``."""
    share: Floats = ((np.maximum(counts, 1) / _USUAL_RATINGS) ** -balance).astype(np.float32)
    return share


def corrections(counts: Counts, total: int, batch: int) -> Floats:
    """c_z for the candidates of a batch.

    Parameters
    ----------
    counts : (n_candidates,) int32
        Ratings of each candidate so far.
    total : int
        Ratings of all items so far.
    batch : int
        Ratings in the batch.
    """
    share = np.minimum(counts / max(total, 1), 1.0)
    inverse = 1 / np.maximum(1 - (1 - share) ** batch, 1e-9)
    corrected: Floats = np.minimum(inverse / inverse.mean(), _HIGHEST_CORRECTION)
    return corrected.astype(np.float32)


def learn(
    users: Codes,
    items: Codes,
    ratings: Floats,
    candidates: Codes,
    total: int,
    user_rows: Rows,
    item_rows: Rows,
    step: RankingStep,
    scale: tuple[float, float],
    key: int,
) -> None:
    """Learn ratings in their order, in place.

    Parameters
    ----------
    users, items : (length,) int32
        Positions in `user_rows` and `item_rows`.
    ratings : (length,) float32
    candidates : (n_candidates,) int32
        Distinct positions in `item_rows` that negatives are drawn from.
    total : int
        Ratings learned so far, of all items.
    user_rows, item_rows : Rows
    step : RankingStep
    scale : (float, float)
        Lowest and highest rating.
    key : int
        Of the draw: the same key draws the same negatives.
    """
    if not len(users) or not len(candidates):
        return
    order = np.lexsort((items, users))
    rated_by = np.searchsorted(users[order], np.arange(len(user_rows) + 1))
    _learn(
        users,
        items,
        weights(ratings, *scale),
        shares(user_rows.n, step.balance),
        candidates,
        corrections(item_rows.n[candidates], total, len(users)),
        rated_by,
        items[order],
        user_rows.ranking,
        user_rows.step,
        item_rows.ranking,
        item_rows.step,
        np.float32(step.learning_rate),
        np.float32(step.regularization),
        step.negatives,
        np.float32(step.negative_weight),
        np.uint64(key & 0xFFFFFFFFFFFFFFFF),
    )


@numba.njit(cache=True, fastmath={"reassoc", "contract", "nsz"}, nogil=True)
def _learn(
    users: Any,
    items: Any,
    rating_weights: Any,
    user_shares: Any,
    candidates: Any,
    correction: Any,
    rated_by: Any,
    rated: Any,
    user_factors: Any,
    user_step: Any,
    item_factors: Any,
    item_step: Any,
    rate: Any,
    regularization: Any,
    negatives: int,
    negative_weight: Any,
    key: Any,
) -> None:
    rank = user_factors.shape[1]
    epsilon = np.float32(_EPSILON)
    gradient = np.empty(rank, np.float32)
    n_candidates = np.uint64(len(candidates))
    for j in range(len(users)):
        x = users[j]
        v = user_factors[x]
        share = user_shares[x]
        state = mixed(key + np.uint64(j))
        for f in range(rank):
            gradient[f] = -share * regularization * v[f]
        for draw in range(negatives + 1):
            if draw == 0:
                z = items[j]
                weight, target, pull = rating_weights[j], np.float32(1), regularization
            else:
                state = mixed(state + np.uint64(0x9E3779B97F4A7C15))
                chosen = np.int64(state % n_candidates)
                z = candidates[chosen]
                if _contains(rated, rated_by[x], rated_by[x + 1], z):
                    continue
                weight = negative_weight * correction[chosen]
                target, pull = np.float32(0), np.float32(0)
            q = item_factors[z]
            dot = np.float32(0)
            for f in range(rank):
                dot += v[f] * q[f]
            error = share * weight * (target - dot)
            pull *= share
            length = np.float32(0)
            for f in range(rank):
                g = error * v[f] - pull * q[f]
                length += g * g
            item_step[z] += length / rank
            size = rate / np.sqrt(item_step[z] + epsilon)
            for f in range(rank):
                gradient[f] += error * q[f]
                q[f] += size * (error * v[f] - pull * q[f])
        length = np.float32(0)
        for f in range(rank):
            length += gradient[f] * gradient[f]
        user_step[x] += length / rank
        size = rate / np.sqrt(user_step[x] + epsilon)
        for f in range(rank):
            v[f] += size * gradient[f]


@numba.njit(cache=True)
def _contains(values: Any, start: int, end: int, wanted: Any) -> bool:
    """Whether the sorted ``values[start:end]`` hold a value."""
    low, high = start, end
    while low < high:
        middle = (low + high) // 2
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return bool(low < end and values[low] == wanted)
