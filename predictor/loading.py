"""Reading the served model from Postgres: all of it, or the rows changed since a micro-batch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from predictor.garbage import without_garbage_collection
from predictor.head_start import EarlyRows, HeadStart
from predictor.progress import Progress
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


@without_garbage_collection()
def load(
    snapshot: Snapshot,
    scale: ScaleSettings,
    topic: str,
    half_life: int,
    progress: Progress,
    head_start: HeadStart | None = None,
) -> Served:
    """Read the serving model and the catalogue; only the catalogue where there is no model.

    Parameters
    ----------
    snapshot : Snapshot
        Of which nothing has been read yet: it is of the moment of its first reading.
    scale, topic, half_life
        As for `Served`.
    progress : Progress
    head_start : HeadStart, optional
        What has been read before; its rows become those of what is returned.
    """
    early = head_start.take() if head_start is not None else None
    served = Served(snapshot.serving_model(), scale, topic, half_life)
    if served.record is None:
        _load_catalogue(snapshot, served)
        return served
    _load_rows(snapshot, served, early, progress)
    with ThreadPoolExecutor(1, "in-order") as beside:
        # On another core: the catalogue adds items, but changes none of the rows that there are.
        ordering = beside.submit(served.to_order()) if served.items.out_of_order else None
        _load_catalogue(snapshot, served)
        served.items.ordered = ordering.result() if ordering is not None else None
    served.take_cold(served.fit_cold(), all_rows=True)
    served.seed_trending(snapshot.latest_items(served.trending.history))
    if served.items.out_of_order:
        served.items.ordered = served.in_order()
    return served


def _load_rows(
    snapshot: Snapshot, served: Served, early: EarlyRows | None, progress: Progress
) -> None:
    """The item rows as of the snapshot, by what has been read before where that leads here."""
    assert served.record is not None
    model, batch = served.record.model, served.as_of.batch
    if early is None or not early.lead_to(served.record):
        found = snapshot.item_rows(model, served.form, progress=progress.read)
        served.load_items(found.items, found.rows)
        return
    served.load_items(early.found.items, early.found.rows)
    if batch > (before := early.record.as_of.batch):
        found = snapshot.item_rows(model, served.form, after_batch=before)
        served.items.put_at(served.items.add(found.items), found.rows)


def _load_catalogue(snapshot: Snapshot, served: Served) -> None:
    for batch in snapshot.catalogue_batches():
        served.put_catalogue(batch)


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
