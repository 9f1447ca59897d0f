"""A contestant's curve: its loss over a race, faded as the race judges it (`recommender.race`).

Apart from the race, so that who only shows it loads no kernels.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

HALF_LIFE = 20_000
"""Ratings, see the setting ``race_half_life``."""


def faded_rmse(
    ratings: npt.NDArray[np.int64], squared: npt.NDArray[np.float64], half_life: int
) -> npt.NDArray[np.float64]:
    """The curve of a contestant: after each stretch of ratings, the root of its faded loss.

    Parameters
    ----------
    ratings, squared : (n_stretches,)
        Ratings of each stretch, oldest first, and the sums of their squared errors; a stretch
        without ratings keeps what was.
    half_life : int
        h, in ratings.

    Returns
    -------
    (n_stretches,) float64
        ``√(Σ w_t l_t / Σ w_t)`` with the weights of a race; NaN before the first rating.

    Examples
    --------
    >>> faded_rmse(np.array([0, 100, 100]), np.array([0.0, 100.0, 400.0]), 100).round(4)
    array([   nan, 1.    , 1.7321])
    """
    found = np.full(len(ratings), np.nan)
    loss = weight = 0.0
    for place, (count, error) in enumerate(zip(ratings.tolist(), squared.tolist(), strict=True)):
        fades = 0.5 ** (count / half_life)
        loss, weight = fades * loss + error, fades * weight + count
        if weight:
            found[place] = math.sqrt(loss / weight)
    return found
