"""What models lose on the live stream: their prequential errors, micro-batch by micro-batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2.extensions import cursor

from recommender.drift import Drift


@dataclass(frozen=True)
class Measured:
    """One micro-batch, or several as one.

    Attributes
    ----------
    batch : int
        The last of them.
    ratings : int
    squared : mapping of int to float
        Sum of squared errors of each model that learned all of it.
    """

    batch: int
    ratings: int
    squared: Mapping[int, float]


def measured(cur: cursor, models: Sequence[int], after: int, limit: int) -> list[Measured]:
    """Micro-batches after that one, oldest first, with the errors of those models."""
    cur.execute(
        """SELECT batch, max(ratings), array_agg(model), array_agg(squared_error)
           FROM micro_batches WHERE model = ANY(%s) AND batch > %s AND ratings > 0
           GROUP BY batch ORDER BY batch LIMIT %s""",
        (list(models), after, limit),
    )
    return [
        Measured(batch, ratings, dict(zip(whose, squared, strict=True)))
        for batch, ratings, whose, squared in cur.fetchall()
    ]


def in_stretches(found: Sequence[Measured], ratings: int) -> list[Measured]:
    """Consecutive micro-batches put together, at least so many ratings each.

    A stretch has the errors of the models that learned all of it. What is left at the end is too
    short, and is not in it.

    Examples
    --------
    >>> one, two = Measured(1, 3, {7: 1.5, 8: 2.0}), Measured(2, 2, {7: 1.0, 8: 1.0, 9: 4.0})
    >>> in_stretches([one, two, Measured(3, 4, {7: 1.0})], 5)
    [Measured(batch=2, ratings=5, squared={7: 2.5, 8: 3.0})]
    """
    stretches: list[Measured] = []
    waiting: Measured | None = None
    for one in found:
        if waiting is not None:
            both = waiting.squared.keys() & one.squared.keys()
            squared = {model: waiting.squared[model] + one.squared[model] for model in both}
            one = Measured(one.batch, waiting.ratings + one.ratings, dict(sorted(squared.items())))
        waiting = one if one.ratings < ratings else None
        if waiting is None:
            stretches.append(one)
    return stretches


def note_drift(cur: cursor, model: int, batch: int, drift: Drift) -> None:
    """Keep what the drift test has noticed at a micro-batch; once, however often it is told."""
    cur.execute(
        """INSERT INTO drifts (model, batch, usual, deviation, loss) VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT DO NOTHING""",
        (model, batch, drift.usual, drift.deviation, drift.loss),
    )


def last_drift(cur: cursor, model: int) -> int | None:
    """The micro-batch at which a drift was noticed last."""
    cur.execute("SELECT max(batch) FROM drifts WHERE model = %s", (model,))
    found = cur.fetchone()
    return found[0] if found else None
