"""A whole model in memory: for evaluation, simulation and tests, without any store."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from recommender import micro_batch, rating_head
from recommender.datasets import IndexedRatings
from recommender.fold_in import fold_in, gram
from recommender.history import History, Ratings
from recommender.initial import Side, initial_rows
from recommender.micro_batch import MicroBatch
from recommender.model_settings import ModelSettings
from recommender.ordering import stable_order
from recommender.ranking import blend_with_head, blend_with_popularity, popularity_share
from recommender.ranking_head import weights
from recommender.rating_head import Codes, Errors, Mean
from recommender.rows import Floats, Rows


class MemoryModel:
    """B-SGD over users and items known by position.

    Learns exactly as the streaming job does: same kernels, same initial rows, same order.

    Parameters
    ----------
    user_ids, item_ids : StringArray
        All ids that may occur; a code is a position in them. Rows not yet rated have count 0.
    settings : ModelSettings
    """

    kind: ClassVar[str] = "b-sgd"

    def __init__(
        self, user_ids: pa.StringArray, item_ids: pa.StringArray, settings: ModelSettings
    ) -> None:
        self.settings = settings
        self.user_rows = self._initial(user_ids, "user")
        self.item_rows = self._initial(item_ids, "item")
        self.mean = Mean(settings.middle)
        self.history = History()

    def _initial(self, ids: pa.StringArray, side: Side) -> Rows:
        settings = self.settings
        return initial_rows(
            ids, side, settings.seed, settings.format, settings.factor_scale, settings.ranking_scale
        )

    def learn(self, users: Codes, items: Codes, ratings: Floats) -> Errors:
        """Test and learn one micro-batch; see `recommender.micro_batch.learn`."""
        new = Ratings(users, items, ratings)
        random = np.random.default_rng((self.settings.seed, self.mean.count))
        sample = self.history.sample(self.settings.sample_size(len(new)), random)
        batch = MicroBatch.whole(
            new,
            self.mean,
            self.user_rows,
            self.item_rows,
            sample.first(self.settings.replayed(len(new))),
            sample.items,
        )
        errors = micro_batch.learn(batch, self.settings)
        self.history.append(new)
        return errors

    def count(self, users: Codes, items: Codes, ratings: Floats) -> None:
        """Count ratings and keep them without a step: a refit learns them in an order of its own.

        μ, the rows' counts and the history are afterwards as if they had been learned.
        """
        self.mean.before_each(ratings)
        for rows, codes in ((self.user_rows, users), (self.item_rows, items)):
            rows.n += np.bincount(codes, minlength=len(rows)).astype(np.int32)
        self.history.append(Ratings(users, items, ratings))

    def predict(self, users: Codes, items: Codes) -> Floats:
        """r̂ for pairs, clipped to the scale, ``(length,)``; a row never rated counts as unknown."""
        known_users = np.where(self.user_rows.n[users] > 0, users, -1).astype(np.int32)
        known_items = np.where(self.item_rows.n[items] > 0, items, -1).astype(np.int32)
        predicted = rating_head.predict(
            known_users, known_items, self.mean.value, self.user_rows, self.item_rows
        )
        return np.clip(predicted, self.settings.rating_min, self.settings.rating_max)

    def scores(self, users: Codes) -> Floats:
        """Ranking scores of every item for each user, as served, ``(n_users, n_items)``.

        Users are folded in from their own ratings; those without one get the popular items.
        """
        settings, items = self.settings, self.item_rows
        rated = (items.n > 0).astype(np.float32)
        predicted = self.user_rows.factors[users] @ (items.factors * rated[:, None]).T
        predicted += self.mean.value + self.user_rows.bias[users][:, None] + items.bias[None, :]
        if settings.ranking_rank:
            predicted = blend_with_head(
                self.folded_in(users) @ (items.ranking * rated[:, None]).T,
                predicted,
                popularity_share(items.n),
                self.user_rows.n[users],
                settings.rating_min,
                settings.rating_max,
            )
        else:
            predicted = blend_with_popularity(predicted, items.n)
        unknown = self.user_rows.n[users] == 0
        predicted[unknown] = items.n
        return predicted

    def scores_for(self, items: Codes, ratings: Floats) -> Floats:
        """Ranking scores of every item for somebody without a row, ``(n_items,)``.

        Parameters
        ----------
        items : (n_rated,) int32
            What they have rated, each once.
        ratings : (n_rated,) float32
        """
        settings, rows = self.settings, self.item_rows
        known = rows.n > 0
        predicted = (self.mean.value + rows.bias).astype(np.float32)
        if not settings.ranking_rank:
            return blend_with_popularity(predicted, rows.n)
        own = items[known[items]]
        wanted = weights(ratings[known[items]], settings.rating_min, settings.rating_max)
        matrix = gram(rows.ranking[known])
        head = rows.ranking @ fold_in(rows.ranking[own], wanted, matrix, int(known.sum()))
        return blend_with_head(
            head * known,
            predicted,
            popularity_share(rows.n),
            len(items),
            settings.rating_min,
            settings.rating_max,
        )

    def folded_in(self, users: Codes) -> Floats:
        """Each user's ranking vector, solved from the user's own ratings, ``(n_users, k)``."""
        past = self.history.all()
        order = stable_order(past.users)
        first = np.searchsorted(past.users[order], users, side="left")
        last = np.searchsorted(past.users[order], users, side="right")
        known = self.item_rows.n > 0
        matrix = gram(self.item_rows.ranking[known])
        wanted = weights(past.ratings, self.settings.rating_min, self.settings.rating_max)
        folded = np.empty((len(users), self.settings.ranking_rank), np.float32)
        rated = int(known.sum())
        # Products this small are no work for several threads, which OpenBLAS keeps spinning in
        # between: ten times the time, measured on two cores that others use, too.
        with threadpool_limits(limits=1, user_api="blas"):
            for place, (start, end) in enumerate(zip(first, last, strict=True)):
                own = order[start:end]
                factors = self.item_rows.ranking[past.items[own]]
                folded[place] = fold_in(factors, wanted[own], matrix, rated)
        return folded

    def state(self) -> dict[str, Any]:
        """What a model file has to keep besides the ratings: settings and rows."""
        settings = np.frombuffer(self.settings.model_dump_json().encode(), np.uint8)
        # Packed rows are structured arrays; their bytes are what the stores keep, too.
        rows = {"users": self.user_rows.pack(), "items": self.item_rows.pack()}
        return {"settings": settings, **rows}

    @classmethod
    def from_state(cls, state: dict[str, Any], train: IndexedRatings) -> Self:
        """The model of a file; μ and the history come from the ratings."""
        settings = ModelSettings.model_validate_json(state["settings"].tobytes())
        model = cls(train.user_ids, train.item_ids, settings)
        model.count(train.users, train.items, train.ratings)
        model.user_rows = Rows.unpack(state["users"])
        model.item_rows = Rows.unpack(state["items"])
        return model
