"""What the steps of micro-batches took, as Postgres has it (`micro_batches.seconds`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Seconds = Mapping[str, float]


def medians(taken: Sequence[Seconds]) -> dict[str, float]:
    """Median of each step, in seconds; where a micro-batch lacks a step it took none."""
    steps = sorted({step for seconds in taken for step in seconds})
    return {step: float(np.median([seconds.get(step, 0.0) for seconds in taken])) for step in steps}


def totals(taken: Sequence[Seconds]) -> list[float]:
    """Seconds of each micro-batch: the sum of its steps."""
    return [sum(seconds.values()) for seconds in taken]
