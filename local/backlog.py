"""Cuts the data by time: the older part goes straight into the log, the rest is streamed later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.catalogue import CatalogueItem, encode_item
from recommender.datasets import Dataset
from recommender.ratings import Rating, encode
from storage.log import Record, load
from storage.settings import KafkaSettings

# Ratings turned into Python objects at a time: bounds the memory whatever the data's size.
_CHUNK = 50_000


@dataclass(frozen=True)
class Cut:
    """A data set in order of time, cut in two.

    Parameters
    ----------
    dataset : Dataset
    backlog : numpy.ndarray of int64
        Rows of the older part, in order of time.
    live : numpy.ndarray of int64
        Rows of the rest, in order of time.
    """

    dataset: Dataset
    backlog: npt.NDArray[np.int64]
    live: npt.NDArray[np.int64]


def cut(dataset: Dataset, share: float) -> Cut:
    """Cut a data set so that the backlog is the given share of its ratings, rounded down."""
    rows = dataset.by_time()
    at = int(len(rows) * share)
    return Cut(dataset, rows[:at], rows[at:])


def ratings(dataset: Dataset, rows: npt.NDArray[np.int64]) -> Iterator[Rating]:
    """Some rows as ratings, with event ids ``<dataset>:<row>``: sent twice, they count once."""
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        part = dataset.take(chunk)
        columns = zip(
            chunk.tolist(),
            part.users.to_pylist(),
            part.items.to_pylist(),
            part.ratings.tolist(),
            part.timestamps.tolist(),
            strict=True,
        )
        for row, user, item, rating, timestamp in columns:
            # Made without validation: the data set has been validated when it was read.
            yield Rating.model_construct(
                user=user,
                item=item,
                rating=rating,
                timestamp=timestamp,
                event_id=f"{dataset.name}:{row}",
            )


def publish(part: Cut, settings: KafkaSettings) -> None:
    """Write the catalogue and the backlog to the log; safe to repeat.

    Raises
    ------
    Unavailable
        If Kafka does not acknowledge.
    """
    catalogue = (CatalogueItem.model_validate(entry) for entry in part.dataset.catalogue)
    load(settings, settings.items_topic, (_item_record(item) for item in catalogue))
    load(settings, settings.ratings_topic, map(_record, ratings(part.dataset, part.backlog)))


def _record(rating: Rating) -> Record:
    return rating.user.encode(), encode(rating)


def _item_record(item: CatalogueItem) -> Record:
    return item.item.encode(), encode_item(item)
