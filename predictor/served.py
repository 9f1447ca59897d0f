"""What is served: one model's item side, the catalogue, and how far the model has learned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from predictor.attributes import AttributeIndex
from predictor.catalogue import Catalogue, as_batch, described
from predictor.cold import ColdStart
from predictor.content import ContentVectors
from predictor.items import ItemTable, Positions
from predictor.shortlist import OrderedItems
from predictor.trending import TRENDING_HALF_LIFE, Trending
from recommender.content import COLD_RATINGS
from recommender.ranking import rating_weight
from recommender.rating_head import Mean
from recommender.rows import Floats, RowFormat, Rows
from recommender.settings import ScaleSettings
from storage.as_of import AsOf
from storage.reading import CatalogueEntry, ModelRecord

NO_MODEL = RowFormat(rank=0, ranking_rank=0)


class Served:
    """One model in memory, or only the catalogue where there is no model yet.

    Parameters
    ----------
    record : ModelRecord or None
        The serving model.
    scale : ScaleSettings
        The scale where there is no model.
    topic : str
        Topic of the ratings; the offsets in answers are its partitions'.
    half_life : int
        Of trends, in ratings.

    Attributes
    ----------
    items : ItemTable
    catalogue : Catalogue
    attributes : AttributeIndex
    content : ContentVectors
    trending : Trending
    cold : ColdStart
        The same items by row, title, attribute, likeness, what is rated of late, and what
        attributes say of those with few ratings.
    """

    def __init__(
        self,
        record: ModelRecord | None,
        scale: ScaleSettings,
        topic: str,
        half_life: int = TRENDING_HALF_LIFE,
    ) -> None:
        self.record = record
        self.form = record.row_format if record else NO_MODEL
        stored = record.settings if record else {}
        self.rating_min = float(stored.get("rating_min", scale.rating_min))
        self.rating_max = float(stored.get("rating_max", scale.rating_max))
        self.items = ItemTable(self.form)
        self.catalogue = Catalogue(items=self.items)
        self.attributes = AttributeIndex()
        self.content = ContentVectors()
        self.trending = Trending(half_life)
        self.cold = ColdStart()
        self._topic = topic
        self.advance(record.as_of if record else AsOf())

    def __getstate__(self) -> dict[str, Any]:
        """Without the index of attributes, which is large and seldom changes."""
        left_out = ("attributes", "as_of_json")
        return {name: value for name, value in vars(self).items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.attributes = AttributeIndex()
        self.advance(self.as_of)

    @property
    def holders(self) -> list[object]:
        """The objects that have the large arrays, these as long as there are items."""
        self.content.vectors(len(self.items))
        self.trending.reserve(len(self.items))
        return [*self.items.holders, *self.catalogue.holders, self.content, self.trending]

    @property
    def model(self) -> int | None:
        """The model's number."""
        return self.record.model if self.record else None

    def covers(self, partition: int, offset: int) -> bool:
        """Whether the rating at this place of the log has been learned."""
        return self.as_of.covers(self._topic, partition, offset)

    @property
    def next_offsets(self) -> Mapping[int, int]:
        """How far each partition of the ratings has been learned."""
        return self.as_of.offsets.get(self._topic, {})

    def advance(self, as_of: AsOf) -> None:
        """Say how far the model has learned."""
        self.as_of = as_of
        self.mean = Mean(
            middle=(self.rating_min + self.rating_max) / 2,
            total=as_of.rating_sum,
            count=as_of.rating_count,
        ).value
        self.as_of_json = orjson.Fragment(orjson.dumps(self.describe()))

    def describe(self) -> dict[str, object]:
        """``as_of`` as answers show it."""
        at = self.as_of.at
        return {
            "batch": self.as_of.batch,
            "offsets": {
                str(partition): following for partition, following in self.next_offsets.items()
            },
            "at": None if at is None else datetime.fromtimestamp(at, UTC).isoformat(),
        }

    def load_items(self, items: Iterable[str] | pa.Array, rows: Rows) -> None:
        """Begin with these rows of the item side, without taking their ratings for recent ones."""
        self.items = ItemTable.of(items, rows)
        self.catalogue = Catalogue(items=self.items)

    def put_items(self, items: Sequence[str] | pa.Array, rows: Rows) -> None:
        """Set rows of the item side that have changed."""
        where = self.items.add(items)
        grown = rows.n - self.items.n[where]
        self.items.put_at(where, self.cold.blended(rows, self._vectors(where)))
        self.trending.add(where, np.maximum(grown, 0), self.as_of.rating_count)

    def fit_cold(self) -> ColdStart:
        """What attributes say of rows, learned anew; in another thread, too. See `take_cold`."""
        return ColdStart.fit(self.items, self._vectors, self.as_of.rating_count)

    def take_cold(self, cold: ColdStart, all_rows: bool = False) -> None:
        """Use it from now on.

        Parameters
        ----------
        cold : ColdStart
        all_rows : bool
            Whether the rows at hand are as the model has learned them; if not, they have been drawn
            to what attributes said before, and get the new word when they change next.
        """
        self.cold = cold
        n = self.items.n
        if not cold.fitted:
            return
        if all_rows:
            few = np.flatnonzero((n > 0) & (n < COLD_RATINGS))
            self.items.put_at(few, cold.blended(self.items.rows(few), self._vectors(few)))
        self._guess(np.flatnonzero(n == 0))

    def _guess(self, positions: Positions) -> None:
        """Predict rows of items without a rating, where their attributes are known."""
        vectors = self._vectors(positions)
        described = vectors.any(axis=1)
        if self.cold.fitted and described.any():
            where = positions[described]
            self.items.guess(
                where, self.cold.blended(Rows.empty(len(where), self.form), vectors[described])
            )

    def _vectors(self, positions: Positions) -> Floats:
        vectors: Floats = self.content.vectors(len(self.items))[positions]
        return vectors

    def in_order(self) -> OrderedItems:
        """The items put in order for a quick search; see `ItemTable.in_order`."""
        return self.items.in_order(self.bias_weight)

    def to_order(self) -> Callable[[], OrderedItems]:
        """What does that later, in another thread, while items are added; not while any is put."""
        return self.items.to_order(self.bias_weight)

    @property
    def bias_weight(self) -> float:
        """What a score by the model has of an item's bias."""
        return rating_weight(self.rating_min, self.rating_max) if self.form.ranking_rank else 1.0

    def seed_trending(self, items: Iterable[str]) -> None:
        """Say what the latest ratings were of, the oldest first."""
        self.trending.seed(self.items.positions(items).tolist(), self.as_of.rating_count)

    @property
    def recent(self) -> Floats:
        """Ratings of late of each item, ``(n_items,)``; see `Trending`."""
        return self.trending.counts(len(self.items), self.as_of.rating_count)

    def put_catalogue(self, entries: Iterable[CatalogueEntry] | pa.RecordBatch) -> None:
        """Take up catalogue entries; their items can be recommended from now on, or no more.

        Parameters
        ----------
        entries : iterable of CatalogueEntry, or RecordBatch
            The latter as of `Snapshot.catalogue_batches`, each item once.
        """
        batch = entries if isinstance(entries, pa.RecordBatch) else as_batch(entries)
        positions = self.items.add(batch["item"])
        looked_at = described(batch["attributes"]) | self.catalogue.described(positions)
        some = np.flatnonzero(looked_at).tolist()
        before = [self.catalogue.attributes_at(positions[place]) for place in some]
        self.catalogue.put_at(positions, batch)
        attributes: dict[int, Mapping[str, Any]] = {}
        gone: list[int] = []
        there: list[int] = []
        for position, old in zip(positions[some].tolist(), before, strict=True):
            attributes[position] = new = self.catalogue.attributes_at(position)
            self.attributes.put(position, old, new)
            (gone if new.get("available") is False else there).append(position)
        self.content.put(attributes.items())
        self.items.withdraw(np.array(gone, np.intp), True)
        self.items.withdraw(np.array(there, np.intp), False)
        if self.cold.fitted:
            self._guess(positions[self.items.n[positions] == 0])

    def withdrawn(self, item: str) -> bool:
        """Whether the catalogue says that an item is not available."""
        entry = self.catalogue.entry(item)
        return entry is not None and entry.attributes.get("available") is False
