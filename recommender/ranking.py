"""Scores to rank items by. Ranking by predicted rating alone is worse than popularity: measured.

With a ranking head that head leads, see `blend_with_head`; without one, predicted rating and
popularity.
"""

from __future__ import annotations

import numpy as np

from recommender.rating_head import scale_unit
from recommender.rows import Counts, Floats

# Rating units for each doubling of an item's ratings; measured on MovieLens: docs/model.md.
POPULARITY_WEIGHT = 0.5

# Of the predicted rating beside the ranking head's score, per star of MovieLens's scale. The head's
# score is divided by its highest first: folded in from four ratings it reaches 0.03, from a
# hundred 0.3 and more, and by a fixed weight r̂ alone ranked for new people (NDCG@10 0.040,
# popularity 0.095).
RATING_WEIGHT = 0.1

# Popularity beside it, for people of whom little is known: the weight with no rating at all, and
# the number of ratings by which it has halved. NDCG@10 with 1, 4, 16 and all ratings of a user:
# 0.096, 0.113, 0.162, 0.272; without 0.053, 0.079, 0.147, 0.272 (ml-latest-small).
NEWCOMER_WEIGHT = 2.0
NEWCOMER_RATINGS = 4.0


def rating_weight(low: float, high: float) -> float:
    """w: what a rating unit of this scale adds to the ranking head's score."""
    return RATING_WEIGHT / scale_unit(low, high)


def newcomer_weight(user_counts: Counts | int) -> Floats:
    """The weight of popularity for users with so many ratings, of the same shape."""
    if isinstance(user_counts, int):
        return np.asarray(
            NEWCOMER_WEIGHT * NEWCOMER_RATINGS / (NEWCOMER_RATINGS + user_counts), "f4"
        )
    counts = np.asarray(user_counts, np.float32)
    weight: Floats = np.asarray(NEWCOMER_WEIGHT * NEWCOMER_RATINGS / (NEWCOMER_RATINGS + counts))
    return weight.astype(np.float32)


def popularity_share(item_counts: Counts) -> Floats:
    """Ratings of each item, in parts of those of the most rated, ``(n_items,)``."""
    share: Floats = (item_counts / max(item_counts.max(initial=0), 1)).astype(np.float32)
    return share


def blend_with_head(
    head: Floats,
    predicted: Floats,
    share: Floats,
    user_counts: Counts | int,
    low: float,
    high: float,
    highest: float | None = None,
) -> Floats:
    """``V_x · Q_y / max_z(V_x · Q_z) + w r̂ + a_x n_y / max_z(n_z)``.

    Parameters
    ----------
    head : (..., n_items) float32
        V · Q.
    predicted : (..., n_items) float32
        r̂, not clipped; changed in place.
    share : (n_items,) float32
        `popularity_share`.
    user_counts : (...) int32, or int
        Ratings of each user.
    low, high : float
        The scale.
    highest : float, optional
        The highest V · Q of all items, 0 where none is above it; needed where only some are given.

    Returns
    -------
    (..., n_items) float32
    """
    # Where no item scores above 0 the head has nothing to say.
    if highest is None:
        most = head.max(axis=-1, keepdims=True, initial=0)
        scale = np.where(most > 0, 1 / np.maximum(most, 1e-9), 0).astype(np.float32)
    else:
        scale = np.asarray(1 / max(highest, 1e-9) if highest > 0 else 0, np.float32)
    predicted *= np.float32(rating_weight(low, high))
    predicted += head * scale
    predicted += newcomer_weight(user_counts)[..., None] * share
    return predicted


def blend_with_popularity(predicted: Floats, item_counts: Counts) -> Floats:
    """Predicted ratings raised by popularity: ``r̂ + w · log₂(1 + n_y)``.

    Parameters
    ----------
    predicted : (..., n_items) float32
    item_counts : (n_items,) int32
        Ratings of each item.
    """
    blended: Floats = predicted + np.float32(POPULARITY_WEIGHT) * np.log2(1 + item_counts).astype(
        np.float32
    )
    return blended
