"""Rating columns out of delimited text: which column means what, fast reading, exact complaints.

Knows nothing of MovieLens' folders or of data sets; `recommender.datasets` puts those together.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from recommender.errors import InvalidData

NAMES = {
    "user": ("user", "userid", "user_id", "uid"),
    "item": ("item", "itemid", "item_id", "iid", "movie", "movieid", "movie_id"),
    "rating": ("rating",),
    "timestamp": ("timestamp", "time"),
}
"""Headers that are understood, in lower case, by the column that they mean."""

ALLOWED = {
    "user": "an id that is not empty",
    "item": "an id that is not empty",
    "rating": "a finite number",
    "timestamp": "seconds since 1970 (a number) or an ISO 8601 date",
}

DICTIONARY = pa.dictionary(pa.int32(), pa.string())

Opener = Callable[[], IO[bytes]]
"""Opens the file from its start; called again when a complaint needs the exact line."""


@dataclass(frozen=True)
class Layout:
    """How the text is cut into columns.

    Parameters
    ----------
    delimiter : str
        One character.
    columns : tuple of str
        Every column's name, in the file's order.
    skip : int
        Lines before the first rating: 1 where there is a header.
    quoted : bool
        Whether ``"`` encloses a field.
    """

    delimiter: str
    columns: tuple[str, ...]
    skip: int
    quoted: bool = True

    def roles(self, name: str) -> dict[str, str]:
        """Which column holds the user, the item, the rating and (if any) the timestamp.

        Raises
        ------
        InvalidData
            If the user, item or rating column is missing or there are two of one kind.
        """
        found: dict[str, str] = {}
        for column in self.columns:
            for role, names in NAMES.items():
                if column.strip().lower() in names:
                    if role in found:
                        raise InvalidData(
                            f"{name}: columns {found[role]!r} and {column!r} both mean the {role}; "
                            "expected one of them"
                        )
                    found[role] = column
        for role in ("user", "item", "rating"):
            if role not in found:
                raise InvalidData(
                    f"{name}, line 1: no column for the {role} among "
                    f"{', '.join(map(repr, self.columns))}; "
                    f"expected one named {' or '.join(NAMES[role])}"
                )
        return found


@dataclass(frozen=True)
class RatingColumns:
    """Ratings in file order; see `recommender.datasets.Dataset` for the types."""

    users: pa.DictionaryArray
    items: pa.DictionaryArray
    ratings: npt.NDArray[np.float32]
    timestamps: npt.NDArray[np.float64]


def layout_of(first_line: str, name: str) -> Layout:
    """Layout of a file with a header (comma, tab or semicolon), or without one.

    A file without a header is one whose first line has three or four fields, the third a number:
    user, item, rating and perhaps timestamp.

    Raises
    ------
    InvalidData
        If the file is empty.
    """
    line = first_line.lstrip("\ufeff").rstrip("\r\n")
    if not line.strip():
        raise InvalidData(
            f"{name}, line 1: is empty; expected a header such as user,item,rating,timestamp"
        )
    delimiter = max(",\t;", key=line.count)
    fields = next(csv.reader([line], delimiter=delimiter))
    if len(fields) in (3, 4):
        with suppress(ValueError):
            float(fields[2])
            return Layout(delimiter, ("user", "item", "rating", "timestamp")[: len(fields)], skip=0)
    return Layout(delimiter, tuple(fields), skip=1)


def read_ratings(opener: Opener, layout: Layout, name: str) -> RatingColumns:
    """Read the rating columns; ids are text throughout, never numbers.

    Parameters
    ----------
    opener : callable
        Opens the file in binary from its start.
    layout : Layout
        How to cut it.
    name : str
        The file's name, for complaints.

    Returns
    -------
    RatingColumns
        In file order; where there is no timestamp column the row number (0, 1, ...) stands for it.

    Raises
    ------
    InvalidData
        Naming the file, the line, the column, the value and what is allowed.
    """
    roles = layout.roles(name)
    try:
        table = _read(opener, layout, roles, numeric_time=True)
    except pa.ArrowInvalid as first:
        # Dates are rarer than numbers, so they are only tried when numbers have failed.
        try:
            table = _read(opener, layout, roles, numeric_time=False)
        except (pa.ArrowInvalid, UnicodeDecodeError):
            raise _complaint(opener, layout, roles, name, first) from first
    except UnicodeDecodeError as error:
        raise InvalidData(f"{name}: is not UTF-8 text ({error})") from error
    if table.num_rows == 0:
        raise InvalidData(f"{name}: holds no ratings; expected at least one line")

    users = _dictionary(table[roles["user"]])
    items = _dictionary(table[roles["item"]])
    ratings = table[roles["rating"]].to_numpy().astype(np.float32)
    if "timestamp" in roles:
        column = table[roles["timestamp"]]
        if pa.types.is_timestamp(column.type):
            column = pc.divide(
                pc.cast(column.cast(pa.timestamp("us")), pa.int64()).cast(pa.float64()), 1e6
            )
        timestamps = column.to_numpy().astype(np.float64)
    else:
        timestamps = np.arange(len(ratings), dtype=np.float64)
    if (
        not np.isfinite(ratings).all()
        or not np.isfinite(timestamps).all()
        or _has_empty(users)
        or _has_empty(items)
    ):
        raise _complaint(opener, layout, roles, name, None)
    return RatingColumns(users, items, ratings, timestamps)


def _read(opener: Opener, layout: Layout, roles: dict[str, str], *, numeric_time: bool) -> pa.Table:
    """Read with pyarrow, which is parallel and keeps each id once."""
    types = {roles["user"]: DICTIONARY, roles["item"]: DICTIONARY, roles["rating"]: pa.float32()}
    if "timestamp" in roles:
        types[roles["timestamp"]] = pa.float64() if numeric_time else pa.timestamp("us", tz="UTC")
    with opener() as file:
        try:
            table: pa.Table = pacsv.read_csv(
                file,
                read_options=pacsv.ReadOptions(
                    column_names=list(layout.columns), skip_rows=layout.skip
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=layout.delimiter, quote_char='"' if layout.quoted else False
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types=types,
                    include_columns=list(roles.values()),
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):
                return pa.table({column: pa.array([], kind) for column, kind in types.items()})
            raise
    return table


def _dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Codes of all chunks in one dictionary, in order of first appearance."""
    combined = column.unify_dictionaries().combine_chunks()
    if isinstance(combined, pa.ChunkedArray):  # what pyarrow gives for no chunks, by version
        combined = pa.concat_arrays(combined.chunks)
    return combined


def _has_empty(ids: pa.DictionaryArray) -> bool:
    return bool(pc.any(pc.equal(pc.utf8_trim_whitespace(ids.dictionary), "")).as_py())


def _complaint(
    opener: Opener, layout: Layout, roles: dict[str, str], name: str, cause: Exception | None
) -> InvalidData:
    """Find the first wrong line by reading slowly; only ever runs when the fast reading failed."""
    positions = {role: layout.columns.index(column) for role, column in roles.items()}
    try:
        for line, fields in _lines(opener, layout):
            if len(fields) != len(layout.columns):
                return InvalidData(
                    f"{name}, line {line}: has {len(fields)} fields; "
                    f"expected {len(layout.columns)} "
                    f"({layout.delimiter.join(layout.columns)})"
                )
            for role, position in positions.items():
                if not _valid(role, fields[position]):
                    return InvalidData(
                        f"{name}, line {line}, column {layout.columns[position]}: "
                        f"{fields[position]!r} is not allowed; expected {ALLOWED[role]}"
                    )
    except UnicodeDecodeError as error:
        return InvalidData(f"{name}: is not UTF-8 text ({error})")
    except csv.Error as error:
        return InvalidData(f"{name}: cannot be cut into columns: {error}")
    return InvalidData(f"{name}: cannot be read as ratings: {cause or 'mixed kinds of timestamps'}")


def _lines(opener: Opener, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    with opener() as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        quoting: Any = csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE
        reader = csv.reader(text, delimiter=layout.delimiter, quoting=quoting)
        for number in count():
            try:
                fields = next(reader)
            except StopIteration:
                return
            if number >= layout.skip and fields:
                yield reader.line_num, fields


def _valid(role: str, value: str) -> bool:
    if role in ("user", "item"):
        return value.strip() != ""
    largest = float(np.finfo(np.float32 if role == "rating" else np.float64).max)
    with suppress(ValueError):
        if abs(float(value)) <= largest:  # false for NaN, too
            return True
    if role == "timestamp":
        with suppress(ValueError):
            return datetime.fromisoformat(value).replace(tzinfo=UTC) is not None
    return False
