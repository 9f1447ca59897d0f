"""The shop's film: batch ALS and streaming B-SGD side by side, on the same ratings so far.

At each step both have seen the same ratings: B-SGD has learned each once, as it came; ALS is
trained anew on all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.als import als
from recommender.model_settings import ModelSettings
from recommender.shop import (
    HIGHEST,
    LOWEST,
    Painter,
    Picture,
    draws,
    paint,
    painted_rmse,
)

STEPS = 40
MICRO_BATCH = 1_000  # ratings
# The picture is without noise: steps that would chase noise in ratings of films are right here.
SETTINGS = ModelSettings(
    rank=32,
    regularization=0.01,
    decay=0.3,
    ranking_rank=0,
    rating_min=LOWEST,
    rating_max=HIGHEST,
)
# On the scale of 0 to 255. A tenth of it ends 1 better, and with a tenth of the ratings 20 worse.
ALS_RANK, ALS_ITERATIONS, ALS_REGULARIZATION = 20, 8, 1.0


@dataclass(frozen=True)
class Step:
    """One moment of the film.

    Attributes
    ----------
    ratings : int
        Seen so far.
    seen : (size, size) bool
        Which.
    als, sgd : (size, size) uint8
        What each predicts for every customer and product.
    als_rmse, sgd_rmse : float
        How far that is from the whole picture, in grey values of 255.
    """

    ratings: int
    seen: npt.NDArray[np.bool_]
    als: Picture
    sgd: Picture
    als_rmse: float
    sgd_rmse: float


def lengths(cells: int, steps: int = STEPS) -> list[int]:
    """Ratings at each step: growing ones, since the first ratings change a picture most.

    Examples
    --------
    >>> lengths(90_000, 4)
    [5625, 22500, 50625, 90000]
    """
    places = (np.arange(1, steps + 1) / steps) ** 2 * cells
    return [max(1, int(place)) for place in places]


def film(picture: Picture, seed: int, steps: int = STEPS) -> Iterator[Step]:
    """The steps one after the other; some 0.1 s each for the shop's own picture."""
    users, items, ratings = draws(picture, seed)
    painter = Painter(picture.shape, SETTINGS.model_copy(update={"seed": seed}))
    seen = np.zeros(picture.shape, np.bool_)
    done = 0
    for length in lengths(len(ratings), steps):
        while done < length:
            rows = slice(done, min(done + MICRO_BATCH, length))
            painter.learn(users[rows], items[rows], ratings[rows])
            seen[users[rows], items[rows]] = True
            done = rows.stop
        by_als = paint(_trained(picture, seen, seed))
        by_sgd = painter.picture()
        yield Step(
            ratings=done,
            seen=seen.copy(),
            als=by_als,
            sgd=by_sgd,
            als_rmse=painted_rmse(by_als, picture),
            sgd_rmse=painted_rmse(by_sgd, picture),
        )


def _trained(picture: Picture, seen: npt.NDArray[np.bool_], seed: int) -> npt.NDArray[np.float32]:
    """What ALS predicts from the ratings seen; they are taken from their mean, as B-SGD's are."""
    mean = float(picture[seen].mean())
    users, items = als(
        picture.astype(np.float64) - mean,
        seen,
        rank=ALS_RANK,
        iterations=ALS_ITERATIONS,
        regularization=ALS_REGULARIZATION,
        seed=seed,
    )
    predicted: npt.NDArray[np.float32] = (users @ items.T + mean).astype(np.float32)
    return predicted
