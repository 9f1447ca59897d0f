"""Which items are recommended: a score for every item, and the best of them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from predictor.items import Positions
from predictor.prediction import predicted_everywhere
from predictor.served import Served
from predictor.users import User
from recommender.fold_in import fold_in
from recommender.ranking import blend_with_head
from recommender.ranking_head import weights
from recommender.rows import Floats

Source = Literal["model", "popular"]


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

    With a ranking head V_x · Q_y, predicted rating and, for newcomers, popularity, V_x folded in
    from the user's own ratings; without one, predicted rating and popularity
    (`recommender.ranking`). For a user whom the model does not know, the number of an item's
    ratings and, among equals, its bias.
    """
    items = served.items
    if not user.known:
        # A bias is far smaller than 100 ratings' units; squeezed below 1/2 it only orders equals.
        popular = items.n.astype(np.float32)
        popular += np.arctan(items.bias) / np.float32(np.pi)
        return popular, "popular"
    predicted = predicted_everywhere(served, user)
    if served.form.ranking_rank:
        head = items.ranking @ ranking_vector(served, user)
        scale = served.rating_min, served.rating_max
        predicted = blend_with_head(head, predicted, items.popularity, user.n, *scale)
    else:
        predicted += items.popularity
    return predicted, "model"


def ranking_vector(served: Served, user: User) -> Floats:
    """V_x, ``(ranking_rank,)``: solved from the user's ratings where they are at hand.

    Better than the streamed vector, and takes in what other people's ratings have since taught of
    the items; the streamed one serves where neither store gives the ratings.
    """
    rated = {item: rating for item, rating in (user.rated or {}).items() if item in served.items}
    if not rated:
        return user.ranking
    values = np.fromiter(rated.values(), np.float32, len(rated))
    return fold_in(
        served.items.ranking[served.items.positions(rated)],
        weights(values, served.rating_min, served.rating_max),
        served.items.gram,
        served.items.n_rated,
    )


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
