"""The paired t test of differences that count the less the longer they are past.

Races (`recommender.race` has the formula) and the publish gate decide by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class FadedTest:
    """What a faded paired t test found: D, T, the degrees of freedom m - 1, D's standard error."""

    mean: float
    statistic: float
    freedom: float
    error: float

    def quantile(self, level: float) -> float:
        """What T exceeds with probability `level` where the means do not differ (Student's t).

        Examples
        --------
        >>> test = FadedTest(mean=0.0, statistic=0.0, freedom=10.0, error=1.0)
        >>> round(test.quantile(0.05), 4)  # as in any table
        1.8125
        """
        from scipy.special import stdtrit  # half a second, which every start would wait for

        return -float(stdtrit(self.freedom, level))


def faded_t_test(
    differences: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]
) -> FadedTest:
    """The paired t test of weighted differences; see the module for the formula.

    Parameters
    ----------
    differences : (length,) float64
        At least two.
    weights : (length,) float64
        Positive.

    Examples
    --------
    >>> test = faded_t_test(np.array([1.0, 2.0, 3.0]), np.ones(3))
    >>> test.mean, round(test.statistic, 6), test.freedom
    (2.0, 3.464102, 2.0)
    """
    mean = float(np.average(differences, weights=weights))
    variance = float(np.average(np.square(differences - mean), weights=weights))
    freedom = float(weights.sum() ** 2 / np.square(weights).sum()) - 1
    error = math.sqrt(variance / freedom)
    if error == 0:
        return FadedTest(mean, math.copysign(math.inf, mean) if mean else 0.0, freedom, error)
    return FadedTest(mean, mean / error, freedom, error)
