"""A model learned in memory from generated ratings, to be served by a benchmark.

Learned by the kernels of the engine with their settings as they come, in micro-batches as from a
backlog. Of the generated world's users those who are asked for are a random part.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from benchmarks.serving import (
    Further,
    Numbers,
    Rated,
    ServedModel,
    Size,
    drawn_model,
    item_id,
    user_id,
)
from recommender.datasets import IndexedRatings
from recommender.generate import RATING_MAX, RATING_MIN, world
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.ordering import stable_order
from recommender.rows import Floats, Rows
from recommender.stream_pass import learn_in_order

USERS = 50_000
"""In the world; some hundred ratings of each."""

RATINGS = 4_000_000

_MICRO_BATCH = 100_000
_SEED = 1


def model_to_serve(size: Size, drawn: bool, everybody: bool) -> ServedModel:
    """As an option asks for it: one drawn at random, or a `learned_model`."""
    return drawn_model(size) if drawn else learned_model(size, everybody=everybody)


def learned_model(
    size: Size,
    ratings: int = RATINGS,
    users: int = USERS,
    micro_batch: int = _MICRO_BATCH,
    *,
    everybody: bool = False,
) -> ServedModel:
    """Generate ratings and learn them.

    Parameters
    ----------
    size : Size
        Items, ranks, and how many of the users will be asked for.
    ratings : int
        Some 7 µs of a core each.
    users : int
        Who rate; at least as many as will be asked for.
    micro_batch : int
    everybody : bool
        Whether all of them are part of the model that is returned, or only those who will be asked
        for: a modeler that goes on learning needs the others, too.
    """
    truth = world(max(users, size.users), size.items, _SEED)
    drawn = np.random.default_rng(7)
    codes, items, values = truth.draw(ratings, drawn)
    # Whoever has not rated is nobody whom the model knows.
    raters, numbers = np.unique(codes, return_inverse=True)
    indexed = IndexedRatings(
        users=numbers.astype(np.int32),
        items=items,
        ratings=values,
        timestamps=np.zeros(ratings),
        user_ids=pa.array(map(user_id, range(len(raters))), pa.string()),
        item_ids=pa.array(map(item_id, range(size.items)), pa.string()),
    )
    number_of = np.full(truth.n_users, -1, np.int64)
    number_of[raters] = np.arange(len(raters))

    def further(length: int) -> tuple[Numbers, Numbers, Floats]:
        more, rated, given = truth.draw(2 * length, drawn)
        among = np.flatnonzero(number_of[more] >= 0)[:length]
        return number_of[more[among]], rated[among].astype(np.int64), given[among]

    asked = len(raters) if everybody else min(size.users, len(raters))
    return learned_from(indexed, size, asked, further, micro_batch)


def learned_from(
    ratings: IndexedRatings,
    size: Size,
    asked: int,
    further: Further,
    micro_batch: int,
) -> ServedModel:
    """Learn some ratings in their order.

    Parameters
    ----------
    ratings : IndexedRatings
        From 0.5 to 5.
    size : Size
        The ranks.
    asked : int
        The first so many of their users are part of the model that is returned.
    further : callable
        See `ServedModel`.
    micro_batch : int
    """
    settings = ModelSettings(
        rank=size.rank,
        ranking_rank=size.ranking_rank,
        rating_min=RATING_MIN,
        rating_max=RATING_MAX,
    )
    model = MemoryModel(ratings.user_ids, ratings.item_ids, settings)
    for _ in learn_in_order(model, ratings, micro_batch):
        pass
    # An item without a rating has no row in the product.
    unrated = np.flatnonzero(model.item_rows.n == 0)
    model.item_rows.put(unrated, Rows.empty(len(unrated), settings.format))
    theirs = np.flatnonzero(ratings.users < asked)
    theirs = theirs[stable_order(ratings.users[theirs])]
    return ServedModel(
        items=model.item_rows,
        users=model.user_rows.take(np.arange(asked)),
        rated=Rated(
            ratings.users[theirs].astype(np.int64),
            ratings.items[theirs].astype(np.int64),
            ratings.ratings[theirs],
        ),
        rating_sum=float(ratings.ratings.sum(dtype=np.float64)),
        rating_count=len(ratings.ratings),
        further=further,
    )
