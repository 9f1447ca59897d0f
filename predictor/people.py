"""People who have no row: somebody given by ratings alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

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
    stranger = User(
        user=user,
        n=0,
        bias=0.0,
        factors=np.zeros(served.form.rank, np.float32),
        ranking=np.zeros(served.form.ranking_rank, np.float32),
        rated=dict(ratings),
        has_row=False,
    )
    rated = stranger.rated_in(items)
    places, values = rated.positions, rated.ratings
    known = items.n[places] > 0
    where = places[known]
    bias, factors = fold_in_rating(
        items.factors[where],
        values[known] - np.float32(served.mean) - items.bias[where],
        scale_unit(served.rating_min, served.rating_max),
    )
    found = replace(stranger, n=len(where), bias=bias, factors=factors)
    return found.with_ratings_of(stranger)
