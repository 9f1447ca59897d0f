"""A list of well-known and of less known items: the first are trusted, the second are news.

Liao's conclusion from item KNN, which recommends what everybody rates, and ALS, which finds what
few have seen: show both. Less known is what is not among the most rated tenth of the items
(`recommender.popularity_bias`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.popularity_bias import popularity_decile
from recommender.rows import Floats


def less_known(scores: Floats, counts: npt.NDArray[np.integer[Any]]) -> Floats:
    """Scores with the most rated tenth of the items, and those without a rating, left out (-inf).

    Parameters
    ----------
    scores : (n_items,) float32
    counts : (n_items,) int
        Ratings of each item.
    """
    left_out = (popularity_decile(counts) == 0) | (counts == 0)
    found: Floats = np.where(left_out, np.float32(-np.inf), scores)
    return found


def blend(known: Sequence[int], others: Sequence[int], length: int, share: float) -> list[int]:
    """Take from both lists in turn so that a share of every beginning is from the second.

    Where one list has nothing new left the other fills the places.

    Examples
    --------
    >>> blend([1, 2, 3, 4], [7, 2, 8, 9], 6, share=0.5)
    [1, 7, 2, 8, 3, 9]
    >>> blend([1, 2, 3, 4], [7, 8, 9], 4, share=0.25)
    [1, 2, 3, 7]
    """
    chosen: list[int] = []
    queues = [list(reversed(known)), list(reversed(others))]
    from_others = 0
    while len(chosen) < length:
        for queue in queues:
            while queue and queue[-1] in chosen:
                queue.pop()
        due = int((len(chosen) + 1) * share + 1e-9) > from_others
        if not any(queues):
            break
        second = bool(queues[1]) and (due or not queues[0])
        chosen.append(queues[1 if second else 0].pop())
        from_others += second
    return chosen
