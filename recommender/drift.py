"""Drift: noticing that a stream's loss has left its usual band.

Page and Hinkley's test on losses in units of their own deviation. Of the losses x_1 .. x_t, one for
each micro-batch, let z_t = (x_t - mean) / deviation with the mean and deviation of all before x_t::

    S_t = Σ (z_i - δ)         drift when  S_t - min(S_1 .. S_t) > λ

As long as losses keep to their band S falls by δ a step; a level that is k deviations higher raises
it by k - δ a step, and is noticed after some λ / (k - δ) micro-batches. z is kept within
±`LARGEST`, so that one bad micro-batch alone is no drift. After a drift everything begins anew,
since the new level is the usual one from then on.

References: Page (1954), "Continuous inspection schemes"; Gama et al. (2014), "A survey on concept
drift adaptation".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import Field

from recommender.settings import Settings

LARGEST = 4.0
"""Deviations that one micro-batch counts at most."""


class DriftSettings(Settings):
    """Settings of the drift test."""

    drift_threshold: float = Field(
        20.0,
        gt=0,
        description="λ: deviations of loss, added up over micro-batches, that make a drift.",
    )
    drift_tolerance: float = Field(
        0.5, ge=0, description="δ: deviations above the usual loss that are still usual."
    )
    drift_warm_up: int = Field(
        30, ge=2, description="Micro-batches that tell what is usual, before any test."
    )


@dataclass(frozen=True)
class Drift:
    """What was noticed.

    Parameters
    ----------
    after : int
        Micro-batches since the start, or since the drift before.
    usual, deviation : float
        The losses' mean and deviation until then, outliers cut off.
    loss : float
        Of the micro-batch at which it was noticed.
    """

    after: int
    usual: float
    deviation: float
    loss: float


class DriftTest:
    """The test, fed with one loss after the other."""

    _count: int
    _mean: float
    _squares: float
    _sum: float
    _lowest: float

    def __init__(self, settings: DriftSettings) -> None:
        self._settings = settings
        self._begin()

    def observe(self, loss: float) -> Drift | None:
        """Take in the mean loss of a micro-batch; what was noticed, if anything.

        Raises
        ------
        ValueError
            If the loss is not finite.
        """
        if not math.isfinite(loss):
            raise ValueError(f"a loss of {loss} is no loss")
        found = None
        if self._count >= self._settings.drift_warm_up:
            deviation = math.sqrt(self._squares / (self._count - 1))
            surprise = (loss - self._mean) / max(deviation, 1e-9 * max(abs(self._mean), 1e-9))
            surprise = min(max(surprise, -LARGEST), LARGEST)
            self._sum += surprise - self._settings.drift_tolerance
            self._lowest = min(self._lowest, self._sum)
            if self._sum - self._lowest > self._settings.drift_threshold:
                found = Drift(self._count + 1, self._mean, deviation, loss)
                self._begin()
                return found
            # The usual is not to follow what is being tested for faster than need be.
            loss = self._mean + surprise * deviation
        self._take_in(loss)
        return found

    def _begin(self) -> None:
        self._count = 0
        self._mean = self._squares = self._sum = 0.0
        self._lowest = math.inf

    def _take_in(self, loss: float) -> None:
        """Welford's running mean and sum of squared deviations."""
        self._count += 1
        before = loss - self._mean
        self._mean += before / self._count
        self._squares += before * (loss - self._mean)
