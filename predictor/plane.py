"""Items and a person in a plane: the two directions in which the items' vectors differ most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from predictor.items import Positions
from predictor.listing import likeness_vectors
from predictor.ranking import Folding, best
from predictor.served import Served
from predictor.users import User
from recommender.diversity import normalized
from recommender.rows import Floats


@dataclass(frozen=True)
class Plane:
    """Coordinates.

    Parameters
    ----------
    positions : (n,) intp
        Of the items in the table.
    items : (n, 2) float32
    person : (2,) float32 or None
        None where nothing is known of the person.
    explained : (2,) float64
        Share of the variance of all the vectors that each direction holds.
    """

    positions: Positions
    items: Floats
    person: Floats | None
    explained: npt.NDArray[np.float64]


def plane(served: Served, n: int, person: User | None = None) -> Plane:
    """The most rated items by the first two principal components of their directions.

    Vectors are those that likeness is taken from, each divided by its length, so that near means
    like (and length, which is mostly popularity, has no say). The person's vector is put among
    them the same way: items in its direction are those that it ranks high.
    """
    rated = served.items.n.astype(np.float32)
    positions = best(rated.copy(), min(n, len(rated))) if len(rated) else np.zeros(0, np.intp)
    positions = positions[served.items.n[positions] > 0]
    vectors = normalized(likeness_vectors(served)[positions]).astype(np.float64)
    if len(positions) < 2 or vectors.shape[1] < 2:
        none = np.zeros((0, 2), np.float32)
        return Plane(positions[:0], none, None, np.zeros(2))
    centre = vectors.mean(axis=0)
    spread, directions = np.linalg.eigh(np.cov(vectors, rowvar=False))
    first = directions[:, ::-1][:, :2]
    # The sign is free: with the largest part of each positive the map keeps its sides.
    first *= np.sign(first[np.abs(first).argmax(axis=0), [0, 1]])
    place = None
    if person is not None:
        own = Folding(served, person).vector if served.form.ranking_rank else person.factors
        if own.any():
            place = ((normalized(own) - centre) @ first).astype(np.float32)
    total = max(float(spread.sum()), 1e-12)
    return Plane(
        positions,
        ((vectors - centre) @ first).astype(np.float32),
        place,
        np.maximum(spread[::-1][:2], 0) / total,
    )
