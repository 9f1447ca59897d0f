"""All stored ratings at once, for training in batch: one snapshot, as Arrow columns."""

from __future__ import annotations

import adbc_driver_postgresql.dbapi as postgres
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recommender.datasets import Dataset, scale_of
from recommender.errors import InvalidData, Unavailable
from storage.postgres_client import watchful
from storage.reading import TruthReader
from storage.settings import PostgresSettings

# A user's ratings share a partition, so of one pair the last of these is the one that holds.
_RATINGS = """
    SELECT "user", item, rating, rated_at FROM ratings ORDER BY partition, "offset"
"""
_STATEMENT_TIMEOUT = 600.0  # seconds: all ratings are read, hundreds of thousands a second


def stored_ratings(settings: PostgresSettings) -> Dataset:
    """The ratings that hold now: of each pair the latest, in the order of the log's partitions.

    Returns
    -------
    Dataset
        With the catalogue; its scale is that of the serving model, or without one what the ratings
        seem to be given on.

    Raises
    ------
    Unavailable
        If Postgres does not answer or lacks its schema.
    InvalidData
        If no rating has been stored.
    """
    reader = TruthReader(settings.postgres_dsn, settings.postgres_timeout, _STATEMENT_TIMEOUT, 1)
    try:
        model = reader.read(lambda snapshot: snapshot.serving_model())
        catalogue = reader.read(lambda snapshot: snapshot.catalogue())
    finally:
        reader.close()
    try:
        with postgres.connect(watchful(settings.postgres_dsn)) as opened, opened.cursor() as cursor:
            cursor.execute(_RATINGS)
            table = cursor.fetch_arrow_table()
    except postgres.Error as error:
        raise Unavailable("Postgres", str(error).strip()) from error
    if not table.num_rows:
        raise InvalidData("no rating is stored yet; expected at least one to learn from")
    users, items = (_dictionary(table[name]) for name in ("user", "item"))
    pairs = users.indices.to_numpy().astype(np.int64) * len(items.dictionary)
    pairs += items.indices.to_numpy()
    latest = np.sort(len(pairs) - 1 - np.unique(pairs[::-1], return_index=True)[1])
    ratings = table["rating"].to_numpy().astype(np.float32)[latest]
    scale = scale_of(ratings)
    if model is not None:
        scale = (float(model.settings["rating_min"]), float(model.settings["rating_max"]))
    return Dataset(
        name="stored ratings",
        users=users.take(pa.array(latest)),
        items=items.take(pa.array(latest)),
        ratings=ratings,
        timestamps=table["rated_at"].to_numpy().astype(np.float64)[latest],
        catalogue=[
            {"item": entry.item, "title": entry.title, "attributes": dict(entry.attributes)}
            for entry in catalogue
        ],
        rating_min=scale[0],
        rating_max=scale[1],
    )


def _dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    text = pc.cast(column, pa.string()).combine_chunks()
    if isinstance(text, pa.ChunkedArray):
        text = pa.concat_arrays(text.chunks)
    return text.dictionary_encode()
