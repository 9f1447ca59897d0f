"""Scores to rank items by. Ranking by predicted rating alone is worse than popularity: measured."""

from __future__ import annotations

import numpy as np

from recommender.rows import Counts, Floats

# Rating units for each doubling of an item's ratings; measured on MovieLens: docs/model.md.
POPULARITY_WEIGHT = 0.5


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
