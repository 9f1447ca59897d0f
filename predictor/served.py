"""What is served: one model's item side, the catalogue, and how far the model has learned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from predictor.catalogue import Catalogue
from predictor.items import ItemTable
from recommender.rating_head import Mean
from recommender.rows import RowFormat, Rows
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
    """

    def __init__(self, record: ModelRecord | None, scale: ScaleSettings, topic: str) -> None:
        self.record = record
        self.form = record.row_format if record else NO_MODEL
        stored = record.settings if record else {}
        self.rating_min = float(stored.get("rating_min", scale.rating_min))
        self.rating_max = float(stored.get("rating_max", scale.rating_max))
        self.items = ItemTable(self.form)
        self.catalogue = Catalogue()
        self._topic = topic
        self.advance(record.as_of if record else AsOf())

    @property
    def model(self) -> int | None:
        """The model's number."""
        return self.record.model if self.record else None

    def covers(self, partition: int, offset: int) -> bool:
        """Whether the rating at this place of the log has been learned."""
        return self.as_of.covers(self._topic, partition, offset)

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
        offsets = self.as_of.offsets.get(self._topic, {})
        return {
            "batch": self.as_of.batch,
            "offsets": {str(partition): following for partition, following in offsets.items()},
            "at": None if at is None else datetime.fromtimestamp(at, UTC).isoformat(),
        }

    def put_items(self, items: Sequence[str], rows: Rows) -> None:
        """Set rows of the item side."""
        self.items.put(items, rows)

    def put_catalogue(self, entries: Sequence[CatalogueEntry]) -> None:
        """Take up catalogue entries; their items can be recommended from now on."""
        self.catalogue.put(entries)
        self.items.add(entry.item for entry in entries)

    def replace_catalogue(self, catalogue: Catalogue) -> None:
        """Put another catalogue in the place of the present one."""
        self.catalogue = catalogue
        self.items.add(catalogue)
