"""A model in memory that meets users and items it did not know: a refit that catches up.

It learns as the streaming job does (`recommender.model.MemoryModel`); only its ids may grow.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from recommender.initial import Side, initial_rows
from recommender.model import MemoryModel
from recommender.rating_head import Codes, Errors
from recommender.rows import Floats, Rows

# Room that is made at once, so that rows are rarely copied.
_GROWTH = 1.25
_LEAST_ROOM = 1024


class GrowingModel:
    """A model, and which id each of its rows belongs to.

    Parameters
    ----------
    model : MemoryModel
        Learned in place from here on.
    user_ids, item_ids : StringArray
        Those of its rows.
    """

    def __init__(self, model: MemoryModel, user_ids: pa.StringArray, item_ids: pa.StringArray):
        self.model = model
        self._places: dict[Side, dict[str, int]] = {
            "user": {one: place for place, one in enumerate(user_ids.to_pylist())},
            "item": {one: place for place, one in enumerate(item_ids.to_pylist())},
        }
        self._touched: dict[Side, set[str]] = {"user": set(), "item": set()}

    def learn(self, users: pa.StringArray, items: pa.StringArray, ratings: Floats) -> Errors:
        """Test and learn one micro-batch, in log order."""
        codes = self._codes("user", users), self._codes("item", items)
        return self.model.learn(*codes, ratings)

    def ids(self, side: Side) -> list[str]:
        """All ids of one side, in the order of their rows."""
        return list(self._places[side])

    def rows(self, side: Side, ids: Iterable[str]) -> Rows:
        """The rows of these ids (a copy)."""
        places = self._places[side]
        chosen = np.fromiter((places[one] for one in ids), np.intp)
        rows = self._rows(side)
        return Rows(
            rows.n[chosen],
            rows.bias[chosen],
            rows.factors[chosen],
            rows.ranking[chosen],
            rows.step[chosen],
        )

    def take_touched(self, side: Side) -> list[str]:
        """Ids whose rows have changed since this was asked last."""
        touched, self._touched[side] = self._touched[side], set()
        return sorted(touched)

    def _rows(self, side: Side) -> Rows:
        return self.model.user_rows if side == "user" else self.model.item_rows

    def _codes(self, side: Side, ids: pa.StringArray) -> Codes:
        encoded = ids.dictionary_encode()
        distinct = encoded.dictionary.to_pylist()
        places = self._places[side]
        new = [one for one in distinct if one not in places]
        if new:
            self._add(side, new)
        self._touched[side].update(distinct)
        known = np.array([places[one] for one in distinct], np.int32)
        codes: Codes = known[encoded.indices.to_numpy()]
        return codes

    def _add(self, side: Side, new: list[str]) -> None:
        places, settings = self._places[side], self.model.settings
        first = len(places)
        places.update({one: first + number for number, one in enumerate(new)})
        rows = self._rows(side)
        if len(places) > len(rows):
            rows = rows.grown(max(int(len(places) * _GROWTH), first + _LEAST_ROOM))
            if side == "user":
                self.model.user_rows = rows
            else:
                self.model.item_rows = rows
        made = initial_rows(
            pa.array(new, pa.string()),
            side,
            settings.seed,
            settings.format,
            settings.factor_scale,
            settings.ranking_scale,
        )
        rows.put(np.arange(first, len(places)), made)
