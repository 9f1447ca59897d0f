"""Which items are recommended: a score for every item, and the best of them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from predictor.items import Positions
from predictor.prediction import predicted_everywhere
from predictor.served import Served
from predictor.users import User
from recommender.rows import Floats

Source = Literal["model", "popular"]

RATING_WEIGHT = 0.1
"""Weight of the predicted rating beside the ranking head's score, per star of MovieLens's scale:
0.396 against 0.389 NDCG@10 without (MovieLens 1M)."""

MOVIELENS_WIDTH = 4.5
"""Width of the scale that `RATING_WEIGHT` was measured on, 0.5 to 5."""


class Ranked(NamedTuple):
    """Items in the order of their scores.

    Attributes
    ----------
    positions : (n,) intp
        Where the items are in the item table, best first.
    scores : (n,) float32
    source : str
        ``model``, or ``popular`` where the model does not know the user.
    """

    positions: Positions
    scores: Floats
    source: Source


def recommend(served: Served, user: User, n: int, include_rated: bool = False) -> Ranked:
    """The items to recommend to a user.

    Parameters
    ----------
    served : Served
    user : User
        With ``rated``, unless rated items are included.
    n : int
        Items wanted; fewer where there are not as many.
    include_rated : bool
        Whether items that the user has rated may be among them.
    """
    scores, source = score(served, user)
    excluded: Positions | None = None
    if not include_rated:
        if user.rated is None:
            raise ValueError("the user's ratings are needed to leave out rated items")
        excluded = served.items.positions(user.rated)
    positions = best(scores, n, excluded)
    return Ranked(positions, scores[positions], source)


def score(served: Served, user: User) -> tuple[Floats, Source]:
    """Score of every item for a user, ``(n_items,)``, and where it comes from.

    With a ranking head ``V_x · Q_y + w r̂``, w = `RATING_WEIGHT` scaled to the model's rating
    scale; without one, predicted rating and popularity (`recommender.ranking`). For a user whom
    the model does not know, the number of an item's ratings and, among equals, its bias.
    """
    items = served.items
    if not user.known:
        # A bias is far smaller than 100 ratings' units; squeezed below 1/2 it only orders equals.
        popular = items.n.astype(np.float32)
        popular += np.arctan(items.bias) / np.float32(np.pi)
        return popular, "popular"
    predicted = predicted_everywhere(served, user)
    if served.form.ranking_rank:
        predicted *= np.float32(
            RATING_WEIGHT * MOVIELENS_WIDTH / (served.rating_max - served.rating_min)
        )
        predicted += items.ranking @ user.ranking
    else:
        predicted += items.popularity
    return predicted, "model"


def best(scores: Floats, n: int, excluded: Positions | None = None) -> Positions:
    """Positions of the `n` highest scores, best first; equals in the order of their positions.

    Parameters
    ----------
    scores : (n_items,) float32
        Changed: the excluded ones become −∞.
    n : int
    excluded : (m,) intp, optional
        Positions that must not be among them.
    """
    left = len(scores)
    if excluded is not None and len(excluded):
        scores[excluded] = -np.inf
        left -= len(np.unique(excluded))
    n = min(n, left)
    if n <= 0:
        return np.empty(0, dtype=np.intp)
    if n < len(scores):
        # The n-th highest score bounds the candidates; all its equals are among them, so which of
        # them are taken does not depend on how the partition happened to fall.
        bound = np.partition(scores, len(scores) - n)[len(scores) - n]
        candidates = np.flatnonzero(scores >= bound)
    else:
        candidates = np.arange(len(scores))
    order = np.argsort(-scores[candidates], kind="stable")[:n]
    chosen: Positions = candidates[order]
    return chosen
