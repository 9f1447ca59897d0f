"""How far the modeler has come, read from the truth: shown while a backlog is learned."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass

import psycopg2

# The serving model's micro-batches, the latest first.
_LATEST = """
SELECT micro_batches.batch, total_ratings, ratings, squared_error, absolute_error
FROM micro_batches JOIN models USING (model)
WHERE status = 'serving' AND ratings > 0
ORDER BY micro_batches.batch DESC LIMIT 1
"""


@dataclass(frozen=True)
class Learned:
    """The latest micro-batch.

    Parameters
    ----------
    total : int
        Ratings learned so far.
    batch : int
        Number of the micro-batch.
    rmse, mae : float
        Prequential, over this micro-batch.
    """

    total: int
    batch: int
    rmse: float
    mae: float


def learned(dsn: str) -> Learned | None:
    """The latest micro-batch that holds ratings; None before the first."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(_LATEST)
        row = cursor.fetchone()
    if row is None:
        return None
    batch, total, ratings, squared, absolute = row
    return Learned(total, batch, math.sqrt(squared / ratings), absolute / ratings)
