"""A whole model in memory: for evaluation, simulation and tests, without any store."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from recommender import micro_batch, rating_head
from recommender.initial import Side, initial_rows
from recommender.micro_batch import MicroBatch
from recommender.model_settings import ModelSettings
from recommender.ranking import blend_with_popularity
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

    def __init__(
        self, user_ids: pa.StringArray, item_ids: pa.StringArray, settings: ModelSettings
    ) -> None:
        self.settings = settings
        self.user_rows = self._initial(user_ids, "user")
        self.item_rows = self._initial(item_ids, "item")
        self.mean = Mean(settings.middle)

    def _initial(self, ids: pa.StringArray, side: Side) -> Rows:
        settings = self.settings
        return initial_rows(
            ids, side, settings.seed, settings.format, settings.factor_scale, settings.ranking_scale
        )

    def learn(self, users: Codes, items: Codes, ratings: Floats) -> Errors:
        """Test and learn one micro-batch; see `recommender.micro_batch.learn`."""
        batch = MicroBatch(users, items, ratings, self.user_rows, self.item_rows)
        return micro_batch.learn(batch, self.mean, self.settings)

    def predict(self, users: Codes, items: Codes) -> Floats:
        """r̂ for pairs, clipped to the scale, ``(length,)``; a row never rated counts as unknown."""
        known_users = np.where(self.user_rows.n[users] > 0, users, -1).astype(np.int32)
        known_items = np.where(self.item_rows.n[items] > 0, items, -1).astype(np.int32)
        predicted = rating_head.predict(
            known_users, known_items, self.mean.value, self.user_rows, self.item_rows
        )
        return np.clip(predicted, self.settings.rating_min, self.settings.rating_max)

    def scores(self, users: Codes) -> Floats:
        """Ranking scores of every item for each user, ``(n_users, n_items)``."""
        predicted = self.user_rows.factors[users] @ self.item_rows.factors.T
        predicted += (
            self.mean.value + self.user_rows.bias[users][:, None] + self.item_rows.bias[None, :]
        )
        return blend_with_popularity(predicted, self.item_rows.n)
