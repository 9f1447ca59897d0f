"""The measurements of micro-batches as lines: bounded in length, smoothed, and as a rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from frontend.answers import Measurement

# Points of a line; about one per two pixels of the chart, whatever the stream's length.
POINTS = 360
# Ratings over which the smoothed line forgets to 1/e: steady to the eye, yet it follows.
WINDOW = 10_000
# Seconds of micro-batches that the rate is taken over.
RATE_SECONDS = 10.0


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


def ratings_per_second(
    series: Sequence[Measurement], now: float, seconds: float = RATE_SECONDS
) -> float:
    """Ratings learned in the last `seconds` before `now` (seconds since the epoch), per second."""
    learned = sum(m.ratings for m in series if 0 <= now - m.at.timestamp() < seconds)
    return learned / seconds
