"""Reads for people who look inside: how an item is rated, how the latest micro-batches went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from storage.history import STORED, with_latest
from storage.reading import Snapshot

SCANNED = 2_000_000
"""Ratings read for one item's distribution, some 0.2 s: the history has no index by item, which
would make every commit dearer. Of a longer history as large a random part is read."""

LIVE = 3600.0
"""Seconds. A rating whose own time is earlier than its commit by more is of the past (a data set
that is streamed), and says nothing about how fresh the model is."""


@dataclass(frozen=True)
class Distribution:
    """How an item has been rated, the latest rating of each user.

    Parameters
    ----------
    counts : dict
        Rating to the number of users who gave it, in order.
    share : float
        Of the history that was read: below 1 the counts are of a random part.
    """

    counts: dict[float, int]
    share: float


@dataclass(frozen=True)
class MicroBatch:
    """One micro-batch as it was measured; seconds by step."""

    batch: int
    at: float
    ratings: int
    duplicates: int
    dead_letters: int
    seconds: Mapping[str, float]
    offsets: Mapping[int, int]


def distribution(snapshot: Snapshot, item: str, scanned: int = SCANNED) -> Distribution:
    """How an item has been rated."""
    [(stored,)] = snapshot.fetch(f"SELECT {STORED}")
    share = min(1.0, scanned / stored) if stored else 1.0
    found = snapshot.fetch(
        """SELECT rating, count(*) FROM (
               SELECT DISTINCT ON ("user") "user", r.rating
                 FROM history h TABLESAMPLE SYSTEM (%s),
                      unnest(h.item, h.rating, h."offset") r(item, rating, "offset")
                WHERE r.item = %s
                ORDER BY "user", r."offset" DESC) latest
            GROUP BY rating ORDER BY rating""",
        (100 * share, item),
    )
    return Distribution({float(rating): int(count) for rating, count in found}, share)


def latest_batches(snapshot: Snapshot, model: int, topic: str, n: int) -> list[MicroBatch]:
    """The last micro-batches of a model, oldest first."""
    found = snapshot.fetch(
        """SELECT batch, extract(epoch FROM at)::double precision, ratings, duplicates,
                  dead_letters, seconds, offsets
             FROM micro_batches WHERE model = %s ORDER BY batch DESC LIMIT %s""",
        (model, n),
    )
    return [
        MicroBatch(
            batch=batch,
            at=at,
            ratings=ratings,
            duplicates=duplicates,
            dead_letters=dead,
            seconds=seconds,
            offsets={int(part): int(end) for part, end in offsets.get(topic, {}).items()},
        )
        for batch, at, ratings, duplicates, dead, seconds, offsets in reversed(found)
    ]


def count_dead_letters(snapshot: Snapshot) -> int:
    """Records that could not be read, since the beginning."""
    [(count,)] = snapshot.fetch("SELECT count(*) FROM dead_letters")
    return int(count)


def ages(
    snapshot: Snapshot, batches: Sequence[MicroBatch], ratings: int = 5000
) -> npt.NDArray[np.float64]:
    """Seconds from a rating's own time to the commit that learned it, of the latest ratings.

    Of about so many at the end of the history's file (as `Snapshot.latest_items` reads it), those
    that the given micro-batches learned, without those of the past (`LIVE`).

    Parameters
    ----------
    batches : sequence of MicroBatch
        Consecutive, oldest first; the first one only says where the second begins.
    """
    rows = snapshot.fetch(
        f"""SELECT partition, unnest("offset"), unnest(rated_at)
            FROM history WHERE {with_latest(ratings)}"""
    )
    if not rows or len(batches) < 2:
        return np.zeros(0)
    table = np.array(rows, np.float64)
    commits = np.array([batch.at for batch in batches])
    found = []
    for partition in np.unique(table[:, 0]).astype(int).tolist():
        mine = table[table[:, 0] == partition]
        ends = np.array([batch.offsets.get(partition, 0) for batch in batches])
        # learned by the first micro-batch whose end is past the offset
        which = np.searchsorted(ends, mine[:, 1], side="right")
        inside = (which > 0) & (which < len(batches))
        found.append(commits[which[inside]] - mine[inside, 2])
    seconds = np.concatenate(found)
    live: npt.NDArray[np.float64] = seconds[(seconds >= 0) & (seconds < LIVE)]
    return live
