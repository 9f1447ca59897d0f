"""How a streaming model does on held-out ratings while it learns, micro-batch by micro-batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from modeler.methods import Progress
from recommender.accuracy import rmse
from recommender.evaluation import rank
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.splits import Split
from recommender.stream_pass import learn_in_order


@dataclass(frozen=True)
class Curve:
    """What was seen after each micro-batch.

    Parameters
    ----------
    ratings : list of int
        Learned by then.
    values : dict of str to list of float
        ``rmse_warm``: of the held-out pairs whose user and item occur in the whole stream, so the
        same pairs at every point. ``ndcg_at_10``: NaN where the ranking was not looked at.
    """

    ratings: list[int]
    values: dict[str, list[float]]


def curve(
    split: Split,
    settings: ModelSettings,
    micro_batch: int,
    rank_every: int,
    relevant: float,
    progress: Progress,
) -> Curve:
    """Stream the training ratings in their order; look at the test ratings after each micro-batch.

    Parameters
    ----------
    split : Split
    settings : ModelSettings
    micro_batch : int
        Ratings in each.
    rank_every : int
        Micro-batches from one look at the ranking to the next; the last is always looked at.
    relevant : float
        Test ratings of at least this are relevant.
    progress : callable
    """
    train, test = split.train, split.test
    warm = (test.users < split.n_train_users) & (test.items < split.n_train_items)
    model = MemoryModel(train.user_ids, train.item_ids, settings)
    total = len(train.ratings)
    found = Curve([], {"rmse_warm": [], "ndcg_at_10": []})
    done = 0
    for number, errors in enumerate(learn_in_order(model, train, micro_batch), start=1):
        done += errors.ratings
        predicted = model.predict(test.users[warm], test.items[warm])
        found.ratings.append(done)
        found.values["rmse_warm"].append(rmse(predicted.astype(np.float64) - test.ratings[warm]))
        ranking = math.nan
        if number % rank_every == 0 or done == total:
            quality = rank(model, train, test, k=10, relevant=relevant)
            ranking = float(quality.figures()["ndcg_at_10"])
        found.values["ndcg_at_10"].append(ranking)
        progress(done / total, f"RMSE {found.values['rmse_warm'][-1]:.4f}")
    return found
