"""Scores to rank items by. Ranking by predicted rating alone is worse than popularity: measured.

With a ranking head, ``V_x · Q_y + w r̂``; without one, predicted rating and popularity.
"""

from __future__ import annotations

import numpy as np

from recommender.rating_head import scale_unit
from recommender.rows import Counts, Floats

# Rating units for each doubling of an item's ratings; measured on MovieLens: docs/model.md.
POPULARITY_WEIGHT = 0.5

# Of the predicted rating beside the ranking head's score, per star of MovieLens's scale:
# 0.396 against 0.389 NDCG@10 without (MovieLens 1M).
RATING_WEIGHT = 0.1


def rating_weight(low: float, high: float) -> float:
    """w: what a rating unit of this scale adds to the ranking head's score."""
    return RATING_WEIGHT / scale_unit(low, high)


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
