"""The measurements of micro-batches as lines, bounded in length and smoothed; and a rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from frontend.answers import Measurement

# Points of a line; about one per two pixels of the chart, whatever the stream's length.
POINTS = 360
# Ratings over which the smoothed line forgets to 1/e: steady to the eye, yet it follows.
WINDOW = 10_000


class Point(NamedTuple):
    """One place on the lines: after so many ratings, RMSE of this stretch, and smoothed."""

    total_ratings: int
    rmse: float
    smoothed: float


def line(series: Sequence[Measurement], points: int = POINTS, window: int = WINDOW) -> list[Point]:
    """At most `points` stretches of consecutive micro-batches, in the order of the stream.

    The RMSE of a stretch is that of its ratings together, ``√(Σ nᵢ RMSEᵢ² / Σ nᵢ)``. The smoothed
    one is the root of the mean of squared errors with weight ``exp(-age / window)``, age counted
    in ratings and corrected for the start.
    """
    measured = [m for m in series if m.rmse is not None and m.ratings > 0]
    width = max(1, math.ceil(len(measured) / points))
    out: list[Point] = []
    squared = weight = 0.0
    for start in range(0, len(measured), width):
        stretch = measured[start : start + width]
        ratings = sum(m.ratings for m in stretch)
        error = sum(m.ratings * (m.rmse or 0.0) ** 2 for m in stretch)
        keep = math.exp(-ratings / window)
        squared = keep * squared + (1 - keep) * error / ratings
        weight = keep * weight + (1 - keep)
        out.append(
            Point(
                stretch[-1].total_ratings, math.sqrt(error / ratings), math.sqrt(squared / weight)
            )
        )
    return out


def ratings_per_second(readings: Sequence[tuple[float, int]]) -> float:
    """Ratings learned per second between the first and the last of some readings.

    Parameters
    ----------
    readings : sequence of (float, int)
        Time in seconds and total of ratings learned, in order.

    Examples
    --------
    >>> ratings_per_second([(100.0, 5000), (102.0, 6500), (104.0, 9000)])
    1000.0
    """
    if len(readings) < 2:
        return 0.0
    (begin, before), (end, after) = readings[0], readings[-1]
    # a new model begins to count anew
    return max(0.0, (after - before) / (end - begin)) if end > begin else 0.0
