"""The rating head for answers: ``r̂(x,y) = μ + b_x + b_y + U_x · P_y``, clipped to the scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from predictor.served import Served
from predictor.users import User
from recommender.rows import Floats

Source = Literal["model", "user-bias", "item-bias", "mean"]


class Prediction(NamedTuple):
    """One predicted rating.

    Attributes
    ----------
    item : str
    score : float
        r̂ clipped to the scale.
    source : str
        What it comes from: ``model``; ``user-bias`` (μ + b_x: the item has no rating yet),
        ``item-bias`` (μ + b_y: the user has none), ``mean`` (μ alone).
    """

    item: str
    score: float
    source: Source


def predict(served: Served, user: User, items: Sequence[str]) -> list[Prediction]:
    """Predicted ratings of one user for some items, in their order."""
    table = served.items
    n = table.n
    places = [table.position(item) for item in items]
    known = [place is not None and n[place] > 0 for place in places]
    where = np.array(
        [place for place, rated in zip(places, known, strict=True) if rated], dtype=np.intp
    )
    base = np.float32(served.mean + user.bias)
    raw = base + table.bias[where] + table.factors[where] @ user.factors
    scores = iter(np.clip(raw, served.rating_min, served.rating_max).tolist())
    without = float(np.clip(base, served.rating_min, served.rating_max))
    with_item: Source = "model" if user.known else "item-bias"
    without_item: Source = "user-bias" if user.known else "mean"
    return [
        Prediction(item, next(scores), with_item)
        if rated
        else Prediction(item, without, without_item)
        for item, rated in zip(items, known, strict=True)
    ]


def predicted_everywhere(served: Served, user: User) -> Floats:
    """r̂ of one user for every item, not clipped, ``(n_items,)``: clipping would make ties."""
    predicted: Floats = served.items.factors @ user.factors
    predicted += served.items.bias
    predicted += np.float32(served.mean + user.bias)
    return predicted
