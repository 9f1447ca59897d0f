"""Judging a recommender on ratings that it has not learned.

Rating figures are over all test pairs. Ranking figures are over all items that are not in the
user's training rows, averaged over the users who have a relevant test item among those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recommender.accuracy import Accuracy, accuracy
from recommender.datasets import IndexedRatings
from recommender.errors import InvalidInput
from recommender.popularity_bias import Exposure, exposure
from recommender.ranking_metrics import RankingQuality, judge, top
from recommender.rating_head import Codes
from recommender.rows import Floats
from recommender.splits import Split

RELEVANT_RATING = 4.0  # the field's habit on five-star scales
_BLOCK_SCORES = 1 << 24  # scores held at once: 64 MB of float32


class Recommender(Protocol):
    """What can be judged: anything that predicts ratings and scores items, by code."""

    def predict(self, users: Codes, items: Codes) -> Floats:
        """Predicted rating of each pair, in rating units, ``(length,)``."""

    def scores(self, users: Codes) -> Floats:
        """Ranking score of every item for each user, higher is better, ``(n_users, n_items)``.

        A new array at each call: the evaluation writes into it.
        """


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found; kept by pair and by user, so that methods can be compared in pairs."""

    accuracy: Accuracy
    ranking: RankingQuality
    exposure: Exposure

    def figures(self) -> dict[str, float | int]:
        """All figures by name; NaN where there was nothing to average over."""
        return {**self.accuracy.figures(), **self.ranking.figures(), **self.exposure.figures()}


def relevant_rating(rating_min: float, rating_max: float, share: float | None = None) -> float:
    """The rating from which on an item is relevant: 4, or the given share of the scale.

    Raises
    ------
    InvalidInput
        If the share is not from 0 to 1.

    Examples
    --------
    >>> relevant_rating(0.5, 5.0), relevant_rating(0, 100, share=0.75)
    (4.0, 75.0)
    """
    if share is None:
        return RELEVANT_RATING
    if not 0 <= share <= 1:
        raise InvalidInput("relevant share", share, "a number from 0 to 1")
    return rating_min + share * (rating_max - rating_min)


def evaluate(
    recommender: Recommender, split: Split, *, k: int = 10, relevant: float = RELEVANT_RATING
) -> Evaluation:
    """Judge a recommender that has learned the split's training ratings.

    Parameters
    ----------
    recommender : Recommender
        Its codes are the split's; it answers for cold ones too.
    split : Split
    k : int
        Length of the lists.
    relevant : float
        Test ratings of at least this make an item relevant.

    Raises
    ------
    ValueError
        If a prediction is not finite.
    """
    test = split.test
    warm = (test.users < split.n_train_users) & (test.items < split.n_train_items)
    predicted = recommender.predict(test.users, test.items)
    ranking = rank(recommender, split.train, test, k=k, relevant=relevant)
    counts = np.bincount(split.train.items, minlength=len(split.item_ids))
    return Evaluation(
        accuracy=accuracy(predicted, test.ratings, warm, test.users),
        ranking=ranking,
        exposure=exposure(ranking.lists, counts, split.n_train_users),
    )


def rank(
    recommender: Recommender,
    train: IndexedRatings,
    test: IndexedRatings,
    *,
    k: int = 10,
    relevant: float = RELEVANT_RATING,
) -> RankingQuality:
    """The ranking part of `evaluate`; users go in blocks, so memory is bounded."""
    n_items = len(train.item_ids)
    chosen = test.ratings >= relevant
    relevant_users, relevant_items = test.users[chosen], test.items[chosen]
    # What the user has rated in training is never recommended, so it cannot be found either.
    seen = np.unique(_pairs(train.users, train.items, n_items))
    findable = ~np.isin(_pairs(relevant_users, relevant_items, n_items), seen)
    relevant_users, relevant_items = relevant_users[findable], relevant_items[findable]

    users = np.unique(relevant_users)
    block = max(1, _BLOCK_SCORES // max(n_items, 1))
    lists = [np.empty((0, k), np.int32)]
    for start in range(0, len(users), block):
        members = users[start : start + block]
        scores = recommender.scores(members)
        rated = seen[_spans(seen, members, n_items)]
        scores[np.searchsorted(members, rated // n_items), rated % n_items] = -np.inf
        lists.append(top(scores, k))
    return judge(users, np.concatenate(lists), relevant_users, relevant_items, n_items)


def _pairs(users: Codes, items: Codes, n_items: int) -> npt.NDArray[np.int64]:
    return users.astype(np.int64) * n_items + items


def _spans(pairs: npt.NDArray[np.int64], members: Codes, n_items: int) -> npt.NDArray[np.int64]:
    """Positions in the sorted pairs of all pairs of these users."""
    wide = members.astype(np.int64)
    starts = np.searchsorted(pairs, wide * n_items)
    lengths = np.searchsorted(pairs, (wide + 1) * n_items) - starts
    ends = np.cumsum(lengths)
    spans: npt.NDArray[np.int64] = np.repeat(starts - ends + lengths, lengths)
    spans += np.arange(len(spans))
    return spans
