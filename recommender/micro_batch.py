"""Learning one micro-batch: the ratings, the rows they touch, and what was measured on the way.

The one engine: the streaming job, batch evaluation and simulation all call `learn`.
"""

from __future__ import annotations

from dataclasses import dataclass

from recommender import rating_head
from recommender.model_settings import ModelSettings
from recommender.rating_head import Codes, Errors, Mean
from recommender.rows import Floats, Rows


@dataclass(frozen=True)
class MicroBatch:
    """Ratings in log order, by position in the rows they touch.

    Attributes
    ----------
    users, items : (length,) int32
        Positions in `user_rows` and `item_rows`.
    ratings : (length,) float32
    user_rows, item_rows : Rows
        The touched rows only; learned in place.
    """

    users: Codes
    items: Codes
    ratings: Floats
    user_rows: Rows
    item_rows: Rows


def learn(batch: MicroBatch, mean: Mean, settings: ModelSettings) -> Errors:
    """Test and learn a micro-batch, in place: counts, biases, factors and μ.

    The first pass is prequential; ``settings.passes - 1`` more go over the same ratings.

    Returns
    -------
    Errors
        Of the first pass.
    """
    step = settings.step
    arrays = (batch.users, batch.items, batch.ratings)
    errors = rating_head.learn(
        *arrays, mean.before_each(batch.ratings), batch.user_rows, batch.item_rows, step
    )
    for _ in range(settings.passes - 1):
        rating_head.relearn(*arrays, mean.value, batch.user_rows, batch.item_rows, step)
    return errors
