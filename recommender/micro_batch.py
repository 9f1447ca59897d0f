"""Learning one micro-batch: the ratings, the rows they touch, and what was measured on the way.

The one engine: the streaming job, batch evaluation and simulation all call `learn`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recommender import ranking_head, rating_head
from recommender.history import Ratings
from recommender.model_settings import ModelSettings
from recommender.rating_head import Codes, Errors, Mean
from recommender.rows import Floats, Rows


@dataclass(frozen=True)
class MicroBatch:
    """Ratings in log order, or those of one block of them, by position in the rows they touch.

    Attributes
    ----------
    new : Ratings
        To be tested, learned and counted.
    means : (length,) float64
        μ before each of them.
    mean : float
        μ after the whole micro-batch: for going over ratings again.
    learned : int
        Ratings learned, this micro-batch included, of all items that the block may hold: what an
        item's count is compared with.
    user_rows, item_rows : Rows
        The touched rows only; learned in place.
    replayed : Ratings
        Earlier ratings to be learned again.
    candidates : (n_candidates,) int32
        Items, beside those of the ratings, that negatives may be drawn from.
    block : int
        Which block of the micro-batch this is: each draws negatives of its own.
    """

    new: Ratings
    means: npt.NDArray[np.float64]
    mean: float
    learned: int
    user_rows: Rows
    item_rows: Rows
    replayed: Ratings = field(default_factory=Ratings.none)
    candidates: Codes = field(default_factory=lambda: np.zeros(0, np.int32))
    block: int = 0

    @classmethod
    def whole(
        cls,
        new: Ratings,
        mean: Mean,
        user_rows: Rows,
        item_rows: Rows,
        replayed: Ratings,
        candidates: Codes,
    ) -> MicroBatch:
        """A micro-batch in one block; `mean` takes its ratings in."""
        means = mean.before_each(new.ratings)
        return cls(new, means, mean.value, mean.count, user_rows, item_rows, replayed, candidates)


def learn(batch: MicroBatch, settings: ModelSettings) -> Errors:
    """Test and learn a micro-batch, or a block of one, in place: counts, biases and factors.

    1. The rating head tests and learns each new rating (prequential),
    2. goes over them again ``settings.passes - 1`` times,
    3. and over the replayed ones once.
    4. The ranking head learns new and replayed ratings; the candidates lend it negatives, for in
       a tiny micro-batch there are too few items to tell from the rated ones.

    The heads touch different numbers of the same rows: neither changes what the other learns.

    Returns
    -------
    Errors
        Of the first pass.
    """
    new, users, items = batch.new, batch.user_rows, batch.item_rows
    step = settings.step

    def arrays(ratings: Ratings) -> tuple[Codes, Codes, Floats]:
        return ratings.users, ratings.items, ratings.ratings

    errors = rating_head.learn(*arrays(new), batch.means, users, items, step)
    for _ in range(settings.passes - 1):
        rating_head.relearn(*arrays(new), batch.mean, users, items, step)
    rating_head.relearn(*arrays(batch.replayed), batch.mean, users, items, step)

    if settings.ranking_rank:
        ranking_head.learn(
            *arrays(new.followed_by(batch.replayed)),
            np.unique(np.concatenate([new.items, batch.replayed.items, batch.candidates])),
            batch.learned,
            users,
            items,
            settings.ranking_step,
            (settings.rating_min, settings.rating_max),
            _key(settings.seed, batch.learned, batch.block),
        )
    return errors


def _key(seed: int, count: int, block: int) -> int:
    """The draw of negatives is the same for the same seed, place in the stream and block."""
    return seed * 0x9E3779B97F4A7C15 + count + (block << 48)
