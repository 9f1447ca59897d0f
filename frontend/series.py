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
# Ratings of one place on the line at least: the error of a few says nothing about the model.
LEAST = 250


class Point(NamedTuple):
    """One place on the lines: after so many ratings, RMSE of this stretch, and smoothed."""

    total_ratings: int
    rmse: float
    smoothed: float


class Recent(NamedTuple):
    """Errors over the latest ratings together, in stars, and how many ratings those are."""

    ratings: int
    rmse: float
    mae: float


def line(
    series: Sequence[Measurement],
    points: int = POINTS,
    window: int = WINDOW,
    least: int = LEAST,
) -> list[Point]:
    """At most `points` stretches of consecutive micro-batches, in the order of the stream.

    A stretch has at least `least` ratings, doubled until the points suffice, so that places stay
    where they are while the stream goes on; a remainder belongs to the last stretch. The RMSE of
    a stretch is that of its ratings together, ``√(Σ nᵢ RMSEᵢ² / Σ nᵢ)``. The smoothed one is the
    root of the mean of squared errors with weight ``exp(-age / window)``, age counted in ratings
    and corrected for the start.
    """
    measured = [m for m in series if m.rmse is not None and m.ratings > 0]
    total = sum(m.ratings for m in measured)
    while least * points < total:
        least *= 2
    stretches: list[list[Measurement]] = []
    held = least  # ratings of the last stretch; full, so that the first one is begun
    for measurement in measured:
        if held >= least:
            stretches.append([])
            held = 0
        stretches[-1].append(measurement)
        held += measurement.ratings
    if held < least and len(stretches) > 1:
        remainder = stretches.pop()
        stretches[-1].extend(remainder)
    out: list[Point] = []
    squared = weight = 0.0
    for stretch in stretches:
        ratings, error = _squared_error(stretch)
        keep = math.exp(-ratings / window)
        squared = keep * squared + (1 - keep) * error / ratings
        weight = keep * weight + (1 - keep)
        out.append(
            Point(
                stretch[-1].total_ratings, math.sqrt(error / ratings), math.sqrt(squared / weight)
            )
        )
    return out


def _squared_error(stretch: Sequence[Measurement]) -> tuple[int, float]:
    """Ratings of a stretch and the sum of their squared errors."""
    return (
        sum(m.ratings for m in stretch),
        sum(m.ratings * (m.rmse or 0.0) ** 2 for m in stretch),
    )


def recent(series: Sequence[Measurement], window: int = WINDOW) -> Recent | None:
    """Errors over the latest micro-batches that have `window` ratings together; None if none."""
    latest: list[Measurement] = []
    ratings = 0
    for measurement in reversed(series):
        if ratings >= window:
            break
        if measurement.rmse is not None and measurement.ratings > 0:
            latest.append(measurement)
            ratings += measurement.ratings
    if not latest:
        return None
    _, squared = _squared_error(latest)
    absolute = sum(m.ratings * (m.mae or 0.0) for m in latest)
    return Recent(ratings, math.sqrt(squared / ratings), absolute / ratings)


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
