"""The rating head for answers: ``r̂(x,y) = μ + b_x + b_y + U_x · P_y``, clipped to the scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from predictor.served import Served
from predictor.users import User
from recommender.rows import Floats

_FEW = 4
"""Items up to which one product of vectors after the other is quicker: 3 µs each, beside 10."""

Source = Literal["model", "content", "user-bias", "item-bias", "mean"]


class Prediction(NamedTuple):
    """One predicted rating.

    Attributes
    ----------
    item : str
    score : float
        r̂ clipped to the scale.
    source : str
        What it comes from: ``model``; ``content`` (the item has no rating: what its attributes
        say); ``user-bias`` (μ + b_x: nothing is known of the item), ``item-bias`` (μ + b_y: the
        user has no rating), ``mean`` (μ alone).
    """

    item: str
    score: float
    source: Source


class Parts(NamedTuple):
    """What a predicted rating adds up from, before it is clipped."""

    mean: float
    user_bias: float
    item_bias: float
    taste: float

    @property
    def unclipped(self) -> float:
        """Their sum, from left to right."""
        return self.mean + self.user_bias + self.item_bias + self.taste


def predict(served: Served, user: User, items: Sequence[str]) -> list[Prediction]:
    """Predicted ratings of one user for some items, in their order."""
    used = [_used(served, served.items.position(item)) for item in items]
    scores = (_each if len(items) <= _FEW else _together)(served, user, used)
    return [
        Prediction(item, score, _source(served, user, place))
        for item, score, place in zip(items, scores, used, strict=True)
    ]


def _each(served: Served, user: User, used: Sequence[int | None]) -> list[float]:
    """Scores of the items at some positions; None: nothing is known of the item."""
    bias, factors = served.items.bias, served.items.factors
    base = np.float32(served.mean + user.bias)
    raw = (
        base if place is None else base + bias[place] + factors[place].dot(user.factors)
        for place in used
    )
    return [min(max(float(one), served.rating_min), served.rating_max) for one in raw]


def _together(served: Served, user: User, used: Sequence[int | None]) -> list[float]:
    """The same in one product of a matrix."""
    known = np.array([place is not None for place in used])
    where = np.array([place for place in used if place is not None], dtype=np.intp)
    raw = np.full(len(used), np.float32(served.mean + user.bias))
    raw[known] += served.items.bias[where] + served.items.factors[where] @ user.factors
    scores: list[float] = np.clip(raw, served.rating_min, served.rating_max).tolist()
    return scores


def parts(served: Served, user: User, items: Sequence[str]) -> list[Parts]:
    """What the predicted ratings of one user add up from; μ, both biases and U · P."""
    table = served.items
    found = []
    for item in items:
        place = _used(served, table.position(item))
        bias, taste = 0.0, 0.0
        if place is not None:
            bias = float(table.bias[place])
            taste = float(table.factors[place].astype(np.float64) @ user.factors)
        found.append(Parts(float(served.mean), float(user.bias), bias, taste))
    return found


def _used(served: Served, place: int | None) -> int | None:
    """The item's position, if its row says something: it has ratings, or telling attributes."""
    table = served.items
    known = place is not None and (table.n[place] > 0 or table.guessed[place])
    return place if known else None


def _source(served: Served, user: User, place: int | None) -> Source:
    if place is None:
        return "user-bias" if user.known else "mean"
    if served.items.guessed[place]:
        return "content"
    return "model" if user.known else "item-bias"


def predicted_everywhere(served: Served, user: User) -> Floats:
    """r̂ of one user for every item, not clipped, ``(n_items,)``: clipping would make ties."""
    predicted: Floats = served.items.factors @ user.factors
    predicted += served.items.bias
    predicted += np.float32(served.mean + user.bias)
    return predicted
