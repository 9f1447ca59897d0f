"""Learning one micro-batch: the ratings, the rows they touch, and what was measured on the way.

The one engine: the streaming job, batch evaluation and simulation all call `learn`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from recommender import ranking_head, rating_head
from recommender.history import Ratings
from recommender.model_settings import ModelSettings
from recommender.rating_head import Codes, Errors, Mean
from recommender.rows import Floats, Rows


@dataclass(frozen=True)
class MicroBatch:
    """Ratings in log order, and a sample of earlier ones, by position in the rows they touch.

    Attributes
    ----------
    new : Ratings
        To be tested, learned and counted.
    user_rows, item_rows : Rows
        The touched rows only; learned in place.
    sample : Ratings
        Of earlier ratings, in random order: `ModelSettings.sample_size` of them, or as many as
        there are.
    """

    new: Ratings
    user_rows: Rows
    item_rows: Rows
    sample: Ratings = field(default_factory=Ratings.none)


def learn(batch: MicroBatch, mean: Mean, settings: ModelSettings) -> Errors:
    """Test and learn a micro-batch, in place: counts, biases, factors and μ.

    1. The rating head tests and learns each new rating (prequential),
    2. goes over them again ``settings.passes - 1`` times,
    3. and over the replayed ones, the first ``settings.replayed`` of the sample, once.
    4. The ranking head learns new and replayed ratings; the whole sample lends it negatives, for
       in a tiny micro-batch there are too few items to tell from the rated ones.

    The heads touch different numbers of the same rows: neither changes what the other learns.

    Returns
    -------
    Errors
        Of the first pass.
    """
    new, users, items = batch.new, batch.user_rows, batch.item_rows
    step = settings.step
    key = _key(settings.seed, mean.count)

    def arrays(ratings: Ratings) -> tuple[Codes, Codes, Floats]:
        return ratings.users, ratings.items, ratings.ratings

    errors = rating_head.learn(*arrays(new), mean.before_each(new.ratings), users, items, step)
    for _ in range(settings.passes - 1):
        rating_head.relearn(*arrays(new), mean.value, users, items, step)
    replayed = batch.sample.first(settings.replayed(len(new)))
    rating_head.relearn(*arrays(replayed), mean.value, users, items, step)

    if settings.ranking_rank:
        ranking_head.learn(
            *arrays(new.followed_by(replayed)),
            np.unique(np.concatenate([new.items, batch.sample.items])),
            mean.count,
            users,
            items,
            settings.ranking_step,
            (settings.rating_min, settings.rating_max),
            key,
        )
    return errors


def _key(seed: int, count: int) -> int:
    """The draw of negatives is the same for the same seed and place in the stream."""
    return seed * 0x9E3779B97F4A7C15 + count
