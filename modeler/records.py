"""From the log's records to columns of ratings: quickly all together, one by one only the bad.

Whatever a record holds, reading it stops nothing: it becomes a rating, a withdrawal or a dead
letter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from modeler import canonical
from recommender import withdrawals
from recommender.catalogue import decode_item
from recommender.errors import InvalidInput
from recommender.ids import MAX_ID
from recommender.ratings import LATEST, MAX_EVENT_ID, Rating, Scale, decode

# Records read at once; where one of them is bad, only so many are read one by one.
_AT_ONCE = 4096

_JSON = pa.schema(
    [
        ("user", pa.string()),
        ("item", pa.string()),
        ("rating", pa.float64()),
        ("timestamp", pa.float64()),
        ("event_id", pa.string()),
        ("deleted", pa.bool_()),
    ]
)
RATINGS = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("user", pa.string()),
        ("item", pa.string()),
        ("rating", pa.float32()),
        ("rated_at", pa.float64()),
        ("event_id", pa.string()),
    ]
)
DEAD_LETTERS = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("reason", pa.string()),
        ("key", pa.binary()),
        ("value", pa.binary()),
    ]
)
CATALOGUE = pa.schema([("item", pa.string()), ("title", pa.string()), ("attributes", pa.string())])


@dataclass
class DeadLetters:
    """Records that could not be read, with the reason."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, record: dict[str, Any], reason: str) -> None:
        """Keep a record: ``topic``, ``partition``, ``offset``, ``key``, ``value``."""
        kept = {name: record[name] for name in ("topic", "partition", "offset", "key", "value")}
        self.rows.append({**kept, "reason": reason})

    def table(self) -> pa.Table:
        """As a table of schema `DEAD_LETTERS`."""
        return pa.Table.from_pylist(self.rows, schema=DEAD_LETTERS)


def catalogue(records: pa.Table, dead: DeadLetters) -> pa.Table:
    """Read catalogue entries; of several for one item the last holds.

    Parameters
    ----------
    records : Table
        As for `ratings`, in log order.
    dead : DeadLetters
        Takes what is not a catalogue entry.

    Returns
    -------
    Table
        Of schema `CATALOGUE`; ``attributes`` is JSON.
    """
    entries: dict[str, dict[str, Any]] = {}
    for record in records.to_pylist():
        try:
            entry = decode_item(record["value"])
        except InvalidInput as error:
            dead.add(record, str(error))
        else:
            attributes = entry.attributes.model_dump_json(exclude_defaults=True)
            entries[entry.item] = {
                "item": entry.item,
                "title": entry.title,
                "attributes": attributes,
            }
    return pa.Table.from_pylist(list(entries.values()), schema=CATALOGUE)


def ratings(records: pa.Table, scale: Scale, dead: DeadLetters) -> pa.Table:
    """Read ratings and withdrawals, in the records' order.

    Parameters
    ----------
    records : Table
        ``topic``, ``partition``, ``offset``, ``timestamp``, ``key``, ``value`` as Spark reads them.
    scale : Scale
    dead : DeadLetters
        Takes what is neither.

    Returns
    -------
    Table
        Of schema `RATINGS`. A row without ``rating`` is a withdrawal: of the user's ratings of the
        item, or without ``item`` of all of the user's.
    """
    parts = [
        _read(part, scale, dead)
        for start in range(0, len(records), _AT_ONCE)
        if len(part := records.slice(start, _AT_ONCE))
    ]
    return pa.concat_tables(parts) if parts else RATINGS.empty_table()


def _read(records: pa.Table, scale: Scale, dead: DeadLetters) -> pa.Table:
    quick = _quickly(records, scale)
    return _one_by_one(records, scale, dead) if quick is None else quick


def _quickly(records: pa.Table, scale: Scale) -> pa.Table | None:
    """All records parsed together, or None where any of them needs a closer look."""
    values = records["value"].combine_chunks()
    if values.null_count:
        return None
    parsed = canonical.parse(values)
    if parsed is not None:  # and its ids have been looked at
        valid = _all(*_numbers(parsed, scale))
    else:
        parsed = _from_json(values)
        if parsed is None:
            return None
        valid = pc.or_(_valid(parsed, scale), _valid_withdrawal(parsed))
    if not pc.all(valid).as_py():
        return None
    return pa.table(
        {
            "partition": records["partition"],
            "offset": records["offset"],
            "user": parsed["user"],
            "item": parsed["item"],
            "rating": parsed["rating"].cast(pa.float32()),
            "rated_at": parsed["timestamp"],
            "event_id": parsed["event_id"],
        },
        schema=RATINGS,
    ).combine_chunks()


def _from_json(values: pa.BinaryArray) -> pa.Table | None:
    """All values parsed together as JSON, or None where they are not an object each."""
    # Each value must be exactly one line with one object, or rows and records would not match.
    one_object = pc.and_(
        pc.and_(pc.starts_with(values, b"{"), pc.ends_with(values, b"}")),
        pc.invert(
            pc.or_(pc.match_substring(values, b"\n"), pc.match_substring_regex(values, r"\}\s*\{"))
        ),
    )
    if not pc.all(one_object).as_py():
        return None
    lines = pc.binary_join(pa.ListArray.from_arrays([0, len(values)], values), b"\n")[0].as_buffer()
    try:
        values.cast(pa.string())  # the parser takes any bytes for text; this checks for UTF-8
        parsed = pyarrow.json.read_json(
            pa.BufferReader(lines),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=_JSON, unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowInvalid:
        return None
    return parsed if len(parsed) == len(values) else None


def _valid(parsed: pa.Table, scale: Scale) -> pa.ChunkedArray:
    """Which rows are surely ratings; a null or NaN anywhere needed makes a row not so."""
    return _all(*_ids(parsed), _text(parsed["item"], MAX_ID), *_numbers(parsed, scale))


def _valid_withdrawal(parsed: pa.Table) -> pa.ChunkedArray:
    """Which rows are surely withdrawals."""
    return _all(
        *_ids(parsed),
        *_time(parsed),
        parsed["deleted"],
        pc.is_null(parsed["rating"]),
        pc.or_kleene(pc.is_null(parsed["item"]), _text(parsed["item"], MAX_ID)),
    )


def _ids(parsed: pa.Table) -> list[pa.ChunkedArray]:
    return [
        _text(parsed["user"], MAX_ID),
        pc.or_kleene(pc.is_null(parsed["event_id"]), _text(parsed["event_id"], MAX_EVENT_ID)),
    ]


def _numbers(parsed: pa.Table, scale: Scale) -> list[pa.ChunkedArray]:
    rating = parsed["rating"]
    return [
        pc.greater_equal(rating, scale.low),
        pc.less_equal(rating, scale.high),
        *_time(parsed),
    ]


def _time(parsed: pa.Table) -> list[pa.ChunkedArray]:
    time = parsed["timestamp"]
    return [pc.greater_equal(time, 0.0), pc.less(time, LATEST)]


def _all(*checks: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(reduce(pc.and_, checks), False)


def _text(texts: pa.ChunkedArray, longest: int) -> pa.ChunkedArray:
    length = pc.utf8_length(texts)
    return pc.and_(
        pc.and_(pc.greater(length, 0), pc.less_equal(length, longest)),
        pc.invert(pc.match_substring_regex(texts, r"[\x00-\x1f\x7f-\x{9f}]")),
    )


def _one_by_one(records: pa.Table, scale: Scale, dead: DeadLetters) -> pa.Table:
    rows = []
    for record in records.to_pylist():
        received = record["timestamp"].timestamp()
        try:
            found = withdrawals.decode(record["value"], received) or decode(
                record["value"], scale, received
            )
        except InvalidInput as error:
            dead.add(record, str(error))
        else:
            rows.append(
                {
                    "partition": record["partition"],
                    "offset": record["offset"],
                    "user": found.user,
                    "item": found.item,
                    "rating": found.rating if isinstance(found, Rating) else None,
                    "rated_at": found.timestamp,
                    "event_id": found.event_id,
                }
            )
    return pa.Table.from_pylist(rows, schema=RATINGS)
