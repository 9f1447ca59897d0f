"""The history of ratings in Postgres: rows that list what one user rated in one micro-batch.

Written so by `storage.staging` and `storage.truth`, and read one by one by the view ``ratings``;
here is what goes by the rows and the pages they lie on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

LONGEST = 32
"""Ratings of a row: as many as its page holds in full, where ids are of usual length."""

PAGE = 8192
"""Bytes, as Postgres comes."""

RATINGS_PER_PAGE = 40
"""At the least, where each row is of one rating and ids are of usual length."""

STORED = "coalesce((SELECT rating_count FROM models WHERE status = 'serving'), 0)"
"""How many ratings there are, in SQL: counted, not looked up."""

# Rows of one rating and the shortest ids; no page has more places.
_PLACES = 62

# Places drawn for each rating wanted, at most: where ids are long, most places hold nothing.
_PLACES_A_RATING = 4

# The number found varies, and what is beyond the number wanted is left out.
_OVERSAMPLING = 1.2

_LISTED = ("item", "rating", "rated_at", "offset", "event_id")


def listed(ratings: pa.Table) -> dict[str, Any]:
    """Rows of the history, with event ids.

    Parameters
    ----------
    ratings : (length,) Table
        Of schema `modeler.records.RATINGS`, each user's side by side and in the order of the log.

    Returns
    -------
    dict
        Columns of one length: ``user`` and ``partition``, and lists of the others' values, null
        where none of the ratings has one.

    Examples
    --------
    >>> columns = {"user": list("aab"), "partition": [0, 0, 0], "offset": [1, 2, 3]}
    >>> rows = pa.table(listed(pa.table(columns))).to_pylist()
    >>> [(row["user"], row["offset"]) for row in rows]
    [('a', [1, 2]), ('b', [3])]
    """
    if not len(ratings):
        return {name: ratings[name] for name in ratings.column_names}
    starts = _starts(ratings)
    cuts = pa.array(np.append(starts, len(ratings)).astype(np.int32))
    columns: dict[str, Any] = {}
    for name in ratings.column_names:
        values = ratings[name].combine_chunks()
        if name not in _LISTED:
            columns[name] = values.take(pa.array(starts))
        elif values.null_count == len(values):
            columns[name] = pa.nulls(len(starts), pa.list_(values.type))
        else:
            columns[name] = pa.ListArray.from_arrays(cuts, values)
    return columns


def on_last_pages(pages: int) -> str:
    """What holds for the rows on the last pages of the table's file, in SQL.

    The page is found by a query of its own: so it is found once, and what is before it not read.
    """
    return f"""ctid >= (SELECT ('(' || greatest(
        pg_relation_size('history') / {PAGE} - {pages:d}, 0) || ',0)')::tid)"""


def with_latest(ratings: int) -> str:
    """What holds for the rows of so many of the latest ratings, and of some more, in SQL.

    Rows are only ever appended, or put in the place of deleted ones, which does no harm to what is
    an estimate.
    """
    return on_last_pages(ratings // RATINGS_PER_PAGE + 1)


def places(stored: int, pages: int, count: int, random: np.random.Generator) -> list[str]:
    """Places of the history's table (``ctid``) whose rows hold some ratings, with equal chances.

    Every place is as likely as any other, and of a row that is found all ratings are taken: so
    each rating is as likely as any other. Most places hold nothing where rows are long.

    Parameters
    ----------
    stored : int
        Ratings of the history.
    pages : int
        Of its table.
    count : int
        Ratings wanted; those found are as many on average, or somewhat more.
    random : Generator
    """
    if not (stored and pages and count):
        return []
    a_place = stored / (pages * _PLACES)
    drawn = int(count * min(_OVERSAMPLING / a_place, _PLACES_A_RATING)) + 1
    numbers = np.unique(random.integers(0, pages * _PLACES, drawn))
    return [f"({number // _PLACES},{number % _PLACES + 1})" for number in numbers.tolist()]


def _starts(ratings: pa.Table) -> npt.NDArray[np.intp]:
    """Where the rows begin: at another user or partition, and after `LONGEST` ratings."""
    changes = np.zeros(len(ratings), bool)
    changes[0] = True
    for name in ("user", "partition"):
        values = ratings[name].combine_chunks()
        changes[1:] |= pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    runs = np.flatnonzero(changes)
    lengths = np.diff(runs, append=len(ratings))
    rows = -(-lengths // LONGEST)
    of_run = np.arange(rows.sum()) - np.repeat(np.cumsum(rows) - rows, rows)
    starts: npt.NDArray[np.intp] = np.repeat(runs, rows) + of_run * LONGEST
    return starts
