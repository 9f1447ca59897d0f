"""Who has rated what as a sparse matrix, for the methods that are linear in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from recommender.datasets import IndexedRatings
from recommender.ranking_head import weights
from recommender.rating_head import Codes
from recommender.rows import Floats


def by_user(ratings: IndexedRatings, values: Floats) -> Any:
    """One value a rating as ``(n_users, n_items)``; of a pair rated again the last one holds."""
    shape = (len(ratings.user_ids), len(ratings.item_ids))
    pairs = ratings.users.astype(np.int64) * shape[1] + ratings.items
    # The first of the reversed ones is the last.
    last = len(pairs) - 1 - np.unique(pairs[::-1], return_index=True)[1]
    where = (ratings.users[last], ratings.items[last])
    return sp.csr_array((values[last].astype(np.float32), where), shape=shape)


def weighted(ratings: IndexedRatings) -> Any:
    """How much each rating says "such items": `recommender.ranking_head.weights`."""
    low, high = _scale(ratings)
    return by_user(ratings, weights(ratings.ratings, low, high))


def one_person(items: Codes, ratings: Floats, low: float, high: float, n_items: int) -> Any:
    """The row of `weighted` for somebody with these ratings, ``(1, n_items)``."""
    row = np.zeros(n_items, np.float32)
    row[items] = weights(ratings, low, high if high > low else low + 1)
    return sp.csr_array(row[None, :])


def _scale(ratings: IndexedRatings) -> tuple[float, float]:
    low, high = float(ratings.ratings.min()), float(ratings.ratings.max())
    return low, high if high > low else low + 1
