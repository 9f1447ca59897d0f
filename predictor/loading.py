"""Reading the served model from Postgres: all of it, or the rows changed since a micro-batch."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from predictor.served import Served
from recommender.settings import ScaleSettings
from storage.reading import ItemRows, ModelRecord, Snapshot


@dataclass(frozen=True)
class Difference:
    """What has changed in the truth since a micro-batch of the same model.

    Parameters
    ----------
    record : ModelRecord
        The model as of now.
    rows : ItemRows
        Item rows changed.
    catalogue : list of RecordBatch or None
        Entries that are not as they were, where they were asked for.
    withdrawn : list of str
        Users who have taken back ratings.
    """

    record: ModelRecord
    rows: ItemRows
    catalogue: list[pa.RecordBatch] | None
    withdrawn: list[str]


@dataclass
class Progress:
    """How much of a model has been loaded."""

    items: int = 0
    of: int = 0

    def read(self, items: int, of: int) -> None:
        """Say how many items have been read."""
        self.items, self.of = items, of

    def __str__(self) -> str:
        return f"{self.items:,} of {self.of:,} items have been loaded"


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Millions of objects are made that stay; looking for garbage among them takes a second."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_without_garbage_collection()
def load(
    snapshot: Snapshot, scale: ScaleSettings, topic: str, half_life: int, progress: Progress
) -> Served:
    """Read the serving model and the catalogue; only the catalogue where there is no model."""
    served = Served(snapshot.serving_model(), scale, topic, half_life)
    if served.record is not None:
        found = snapshot.item_rows(served.record.model, served.form, progress=progress.read)
        served.load_items(found.items, found.rows)
    for batch in snapshot.catalogue_batches():
        served.put_catalogue(batch)
    if served.record is not None:
        served.take_cold(served.fit_cold(), all_rows=True)
        served.seed_trending(snapshot.latest_items(served.trending.history))
        if served.items.out_of_order:
            served.items.ordered = served.in_order()
    return served


def load_difference(snapshot: Snapshot, known: Served, with_catalogue: bool) -> Difference | None:
    """Read what has changed since `known`.

    Returns
    -------
    Difference or None
        None where another model serves, or the same one in an earlier state (restored from a
        backup): then all has to be read.
    """
    record = snapshot.serving_model()
    if (
        record is None
        or known.record is None
        or record.model != known.record.model
        or record.row_format != known.form
        or record.as_of.batch < known.as_of.batch
    ):
        return None
    rows = snapshot.item_rows(record.model, known.form, after_batch=known.as_of.batch)
    catalogue: list[pa.RecordBatch] | None = None
    if with_catalogue:
        changed = (known.catalogue.changed(batch) for batch in snapshot.catalogue_batches())
        catalogue = [batch for batch in changed if len(batch)]
    withdrawn = snapshot.withdrawn_since(known.next_offsets)
    return Difference(record, rows, catalogue, withdrawn)
