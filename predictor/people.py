"""People who have no row: somebody given by ratings alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from predictor.served import Served
from predictor.users import User
from recommender.fold_in import fold_in_rating
from recommender.rating_head import scale_unit


def somebody(served: Served, ratings: Mapping[str, float], user: str = "") -> User:
    """A person folded in from ratings; nothing is stored.

    Bias and factors are solved against the items' (`recommender.fold_in.fold_in_rating`), the
    ranking vector is solved when items are ranked, as for everybody.

    Parameters
    ----------
    served : Served
    ratings : mapping of str to float
        Item to rating; items that nobody has rated only count for what they are like.
    user : str
        The id, where there is one.
    """
    items = served.items
    places = items.places(ratings)
    known = places >= 0
    known[known] = items.n[places[known]] > 0
    where = places[known]
    values = np.fromiter(ratings.values(), np.float32, len(ratings))
    residuals = values[known] - np.float32(served.mean)
    bias, factors = fold_in_rating(
        items.factors[where],
        residuals - items.bias[where],
        scale_unit(served.rating_min, served.rating_max),
    )
    return User(
        user=user,
        n=len(where),
        bias=bias,
        factors=factors,
        ranking=np.zeros(served.form.ranking_rank, np.float32),
        rated=dict(ratings),
        has_row=False,
    )
