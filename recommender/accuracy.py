"""How far predicted ratings are from the given ones: RMSE and MAE, warm pairs and cold apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.rating_head import Codes
from recommender.rows import Floats


@dataclass(frozen=True)
class Accuracy:
    """Errors of predicted ratings over test pairs.

    Parameters
    ----------
    errors : numpy.ndarray of float64, shape (n_test,)
        Predicted minus given rating, in rating units, in the order of the test rows.
    warm : numpy.ndarray of bool, shape (n_test,)
        Whether both the pair's user and its item occur in training.
    users : numpy.ndarray of int32, shape (n_test,)
        Code of each pair's user.
    """

    errors: npt.NDArray[np.float64]
    warm: npt.NDArray[np.bool_]
    users: Codes

    @property
    def n_test(self) -> int:
        """Number of test pairs."""
        return len(self.errors)

    @property
    def n_cold(self) -> int:
        """Test pairs whose user or item does not occur in training."""
        return int(np.count_nonzero(~self.warm))

    def figures(self) -> dict[str, float | int]:
        """RMSE and MAE over all pairs, warm pairs and cold pairs; NaN over none."""
        warm, cold = self.errors[self.warm], self.errors[~self.warm]
        return {
            "rmse": rmse(self.errors),
            "mae": mae(self.errors),
            "n_test": self.n_test,
            "n_cold": self.n_cold,
            "rmse_warm": rmse(warm),
            "mae_warm": mae(warm),
            "rmse_cold": rmse(cold),
            "mae_cold": mae(cold),
        }


def accuracy(
    predicted: Floats, ratings: Floats, warm: npt.NDArray[np.bool_], users: Codes
) -> Accuracy:
    """Compare predictions with ratings, shape ``(n_test,)`` each.

    A method may say NaN of a cold pair, that it has no prediction: the figures over all pairs and
    over cold ones are NaN then, too. Leaving such pairs out would compare methods over other pairs.

    Raises
    ------
    ValueError
        If a prediction for a warm pair is not a number, or any is infinite: a diverged model must
        not look like a good one.
    """
    errors = predicted.astype(np.float64) - ratings
    wrong = ~np.isfinite(errors) & (warm | ~np.isnan(errors))
    if wrong.any():
        raise ValueError(f"{np.count_nonzero(wrong)} predictions are not finite")
    return Accuracy(errors, warm, users)


def rmse(errors: npt.NDArray[np.float64]) -> float:
    """√(mean of the squares), in the unit of the errors; NaN over none.

    Examples
    --------
    >>> rmse(np.array([3.0, -4.0, 0.0, 0.0]))
    2.5
    """
    return math.sqrt(np.square(errors).mean()) if len(errors) else math.nan


def mae(errors: npt.NDArray[np.float64]) -> float:
    """Mean of the absolute values, in the unit of the errors; NaN over none.

    Examples
    --------
    >>> mae(np.array([3.0, -4.0, 0.0, 0.0]))
    1.75
    """
    return float(np.abs(errors).mean()) if len(errors) else math.nan
