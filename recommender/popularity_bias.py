"""Which items lists show: the well-known or the others. Novelty, and shares by popularity decile.

Novelty of a list is the mean self-information of its items, ``-log₂(n_y / users)`` with n_y the
item's training ratings: 0 for an item that everybody has rated, one more for each halving
(Zhou et al., 2010; Vargas and Castells, 2011). An item that nobody has rated counts as rated once.

Deciles: all items in order of their training ratings, cut into ten parts of as good as equally many
items; the first is that of the most rated. Without popularity bias each would have a tenth of the
places in the lists (Abdollahpouri et al., 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.rating_head import Codes

DECILES = 10


@dataclass(frozen=True)
class Exposure:
    """What the users' lists show.

    Parameters
    ----------
    novelty : numpy.ndarray of float64, shape (n_users,)
        Mean self-information of each user's list, in bits; NaN for an empty list.
    deciles : numpy.ndarray of float64, shape (10,)
        Share of the places in all lists that each popularity decile has, the most rated first.
    k : int
        Length of the lists.
    """

    novelty: npt.NDArray[np.float64]
    deciles: npt.NDArray[np.float64]
    k: int

    def figures(self) -> dict[str, float]:
        """``novelty_at_10`` (mean over users) and ``popular_share_at_10`` (of the first decile)."""
        some = self.novelty[~np.isnan(self.novelty)]
        return {
            f"novelty_at_{self.k}": float(some.mean()) if len(some) else math.nan,
            f"popular_share_at_{self.k}": float(self.deciles[0]),
        }


def exposure(lists: Codes, counts: npt.NDArray[np.integer[Any]], n_users: int) -> Exposure:
    """What these lists show.

    Parameters
    ----------
    lists : (n_lists, k) int32
        Codes of the recommended items; -1 for none.
    counts : (n_items,) int
        Training ratings of each item.
    n_users : int
        Users with training ratings.
    """
    shown = lists >= 0
    information = -np.log2(np.maximum(counts, 1) / max(n_users, 1))
    bits = np.where(shown, information[lists], 0.0).sum(axis=1)
    lengths = shown.sum(axis=1)
    novelty = np.full(len(lists), math.nan)
    np.divide(bits, lengths, out=novelty, where=lengths > 0)
    places = np.bincount(popularity_decile(counts)[lists[shown]], minlength=DECILES)
    shares = places / places.sum() if places.sum() else np.full(DECILES, math.nan)
    return Exposure(novelty, shares, lists.shape[1])


def popularity_decile(counts: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """Each item's decile, 0 that of the most rated; of equal counts the lower code comes first.

    Examples
    --------
    >>> popularity_decile(np.array([5, 0, 9, 7, 1, 2, 3, 4, 8, 6]))
    array([4, 9, 0, 2, 8, 7, 6, 5, 1, 3])
    """
    order = np.argsort(-counts, kind="stable")
    decile = np.empty(len(counts), np.int64)
    decile[order] = np.arange(len(counts)) * DECILES // max(len(counts), 1)
    return decile
