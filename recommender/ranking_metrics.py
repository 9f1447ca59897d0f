"""How good lists of recommended items are: NDCG, recall, MAP, hit rate and coverage at k.

For one user with R relevant items and a list of k, hit_p = 1 if the item in place p is relevant::

    NDCG@k   = Σ_{p=1..k} hit_p / log₂(p + 1)  /  Σ_{p=1..min(k, R)} 1 / log₂(p + 1)
    recall@k = Σ hit_p / R
    AP@k     = Σ_{p=1..k} hit_p · (hits up to p) / p  /  min(k, R)
    hit@k    = 1 if any hit_p is 1

Each is averaged over the users who have a relevant item; the mean of AP@k is MAP@k. Coverage@k is
the share of all items that are in at least one of these users' lists.

References: Järvelin and Kekäläinen (2002) for NDCG; Manning, Raghavan and Schütze (2008),
chapter 8, for the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recommender.rating_head import Codes
from recommender.rows import Floats


@dataclass(frozen=True)
class RankingQuality:
    """Each user's figures, and the lists they come from.

    Parameters
    ----------
    users : numpy.ndarray of int32, shape (n_users,)
        Codes of the users who have a relevant item, ascending.
    ndcg, recall, average_precision, hit : numpy.ndarray of float64, shape (n_users,)
    lists : numpy.ndarray of int32, shape (n_users, k)
        Codes of the recommended items, best first; -1 where there was nothing left to recommend.
    n_items : int
        Number of all items.
    """

    users: Codes
    ndcg: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    average_precision: npt.NDArray[np.float64]
    hit: npt.NDArray[np.float64]
    lists: Codes
    n_items: int

    @property
    def coverage(self) -> float:
        """Share of all items that are in at least one list; NaN without lists."""
        shown = np.unique(self.lists)
        return int(np.count_nonzero(shown >= 0)) / self.n_items if len(self.users) else math.nan

    def figures(self) -> dict[str, float | int]:
        """Averages over users, named ``ndcg_at_10`` and so on; NaN over none."""
        k = self.lists.shape[1]
        return {
            f"ndcg_at_{k}": _mean(self.ndcg),
            f"recall_at_{k}": _mean(self.recall),
            f"map_at_{k}": _mean(self.average_precision),
            f"hit_rate_at_{k}": _mean(self.hit),
            f"coverage_at_{k}": self.coverage,
            "n_users_ranked": len(self.users),
        }


def judge(
    users: Codes, lists: Codes, relevant_users: Codes, relevant_items: Codes, n_items: int
) -> RankingQuality:
    """Judge lists by the relevant items of their users.

    Parameters
    ----------
    users : (n_users,) int32
        Ascending, each once.
    lists : (n_users, k) int32
        Each user's recommended items, best first; -1 for none.
    relevant_users, relevant_items : (n_pairs,) int32
        The relevant pairs in any order; a repeated pair counts once. Every user of ``users`` has at
        least one, and no other user occurs.
    n_items : int
        Number of all items.
    """
    k = lists.shape[1]
    rows = np.searchsorted(users, relevant_users).astype(np.int64)
    wanted = np.unique(rows * n_items + relevant_items)
    relevant = np.bincount(wanted // n_items, minlength=len(users))
    shown = np.arange(len(users), dtype=np.int64)[:, None] * n_items + lists
    hits = (np.isin(shown, wanted) & (lists >= 0)).astype(np.float64)

    places = np.arange(1, k + 1)
    discounts = 1 / np.log2(places + 1)
    best = np.minimum(k, relevant)
    ideal = np.concatenate([[math.nan], np.cumsum(discounts)])[best]
    precision = np.cumsum(hits, axis=1) / places
    return RankingQuality(
        users=users,
        ndcg=hits @ discounts / ideal,
        recall=hits.sum(axis=1) / relevant,
        average_precision=(hits * precision).sum(axis=1) / best,
        hit=hits.max(axis=1),
        lists=lists,
        n_items=n_items,
    )


def top(scores: Floats, k: int) -> Codes:
    """The k best items of each row, best first.

    Of equal scores the item with the lower code comes first. Scores of -inf and NaN are never
    chosen; -1 fills what is missing then.

    Parameters
    ----------
    scores : (n_users, n_items) float32
    k : int

    Returns
    -------
    (n_users, k) int32

    Examples
    --------
    >>> top(np.array([[1, 3, 3, 2]], dtype=np.float32), 2)
    array([[1, 2]], dtype=int32)
    """
    return _top(np.ascontiguousarray(scores, dtype=np.float32), k)  # type: ignore[no-any-return]


@numba.njit(cache=True, nogil=True)
def _top(scores: Any, k: int) -> Any:
    """One pass along each row with the best k so far kept in order: most items fail one compare."""
    n_users, n_items = scores.shape
    lists = np.full((n_users, k), np.int32(-1))
    best = np.empty(k, np.float32)
    for row in range(n_users):
        best[:] = -np.inf
        for item in range(n_items):
            score = scores[row, item]
            if not score > best[k - 1]:
                continue
            place = k - 1
            while place > 0 and score > best[place - 1]:
                best[place] = best[place - 1]
                lists[row, place] = lists[row, place - 1]
                place -= 1
            best[place] = score
            lists[row, place] = item
    return lists


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else math.nan
