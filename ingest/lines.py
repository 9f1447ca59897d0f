"""Lines of a bulk upload to records for the log: quickly together, one by one where one is wrong.

NDJSON: one JSON object a line. CSV: a header with the names of the fields, then one line each; a
field may be quoted, but holds no line break.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from recommender.catalogue import CatalogueItem, encode_item
from recommender.ids import MAX_ID
from recommender.ratings import LATEST, MAX_EVENT_ID, Rating, Scale, encode, rating_type
from recommender.validation import FieldError, field_errors
from storage.log import Record

Form = Literal["ndjson", "csv"]

MAX_LINE = 64 * 2**10
"""Bytes of a line: twice the largest catalogue entry."""

_RATINGS = pa.schema(
    [
        ("user", pa.string()),
        ("item", pa.string()),
        ("rating", pa.float64()),
        ("timestamp", pa.float64()),
        ("event_id", pa.string()),
    ]
)
_SYNONYMS = {"userId": "user", "movieId": "item", "itemId": "item"}
_TOO_LONG = FieldError("line", None, f"at most {MAX_LINE} bytes")


class Wrong(NamedTuple):
    """A line that is not taken.

    Attributes
    ----------
    line : int
        Its number in the upload, from 1.
    errors : list of FieldError
    """

    line: int
    errors: list[FieldError]


class Kind(Protocol):
    """What a line is read as: a rating or a catalogue entry."""

    numbers: frozenset[str]
    """Fields that CSV, which has only text, must give as numbers."""

    def quickly(self, lines: list[bytes], header: list[str] | None) -> list[Record] | None:
        """All lines together, or None where any of them needs a closer look."""

    def one(self, fields: bytes | dict[str, Any]) -> Record:
        """One line; raises pydantic's ValidationError."""


class Lines:
    """Reads one upload, part by part.

    Parameters
    ----------
    kind : Kind
    form : {'ndjson', 'csv'}
    refuse : callable
        Is told of each line that is not taken.
    """

    def __init__(self, kind: Kind, form: Form, refuse: Callable[[Wrong], None]) -> None:
        self._kind = kind
        self._form = form
        self._refuse = refuse
        self._header: list[str] | None = None
        self.read = 0
        """Lines read so far, empty ones and the header included."""

    def records(self, part: bytes) -> Iterator[Record]:
        """The records of some whole lines."""
        first = self.read + 1
        lines = part.split(b"\n")
        if not lines[-1]:
            lines.pop()
        self.read += len(lines)
        if self._form == "csv" and self._header is None and lines:
            self._header = self._names(lines.pop(0))
            first += 1
        found = self._kind.quickly(lines, self._header)
        yield from self._one_by_one(lines, first) if found is None else found

    def _names(self, line: bytes) -> list[str]:
        cells = _cells(line.removeprefix(b"\xef\xbb\xbf")) or []
        return [_SYNONYMS.get(cell.strip(), cell.strip()) for cell in cells]

    def _one_by_one(self, lines: list[bytes], first: int) -> Iterator[Record]:
        for number, line in enumerate(lines, first):
            if not line.strip():
                continue
            if len(line) > MAX_LINE:
                self._refuse(Wrong(number, [_TOO_LONG]))
                continue
            try:
                fields = line if self._header is None else self._fields(line)
            except ValueError as error:
                self._refuse(Wrong(number, [FieldError("line", line, str(error))]))
                continue
            try:
                yield self._kind.one(fields)
            except ValidationError as error:
                self._refuse(Wrong(number, field_errors(error.errors(include_url=False))))

    def _fields(self, line: bytes) -> dict[str, Any]:
        cells = _cells(line)
        header = self._header or []
        if cells is None or len(cells) != len(header):
            raise ValueError(f"{len(header)} fields in UTF-8, as in the header")
        fields: dict[str, Any] = {}
        for name, cell in zip(header, cells, strict=True):
            if cell:  # an empty cell is a field left out
                fields[name] = _number(cell) if name in self._kind.numbers else cell
        return fields


def _cells(line: bytes) -> list[str] | None:
    try:
        return next(csv.reader([line.rstrip(b"\r").decode()], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        return None


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell  # refused by its field, which says what is allowed


class RatingLines:
    """Ratings.

    Parameters
    ----------
    scale : Scale
    now : callable
        Time of ratings that have none, seconds since the epoch.
    """

    numbers = frozenset({"rating", "timestamp"})

    def __init__(self, scale: Scale, now: Callable[[], float]) -> None:
        self._type = rating_type(scale)
        self._scale = scale
        self._now = now

    def quickly(self, lines: list[bytes], header: list[str] | None) -> list[Record] | None:
        """All lines together, by Arrow."""
        if not lines:
            return []
        try:
            table = _json_table(lines) if header is None else _csv_table(lines, header)
        except pa.ArrowInvalid:
            return None
        if table is None or len(table) != len(lines) or not pc.all(self._valid(table)).as_py():
            return None
        return list(self._encoded(table))

    def one(self, fields: bytes | dict[str, Any]) -> Record:
        """One rating."""
        read: Rating = _read(self._type, fields)
        if read.timestamp is None:
            read = read.model_copy(update={"timestamp": self._now()})
        return read.user.encode(), encode(read)

    def _valid(self, table: pa.Table) -> pa.ChunkedArray:
        """Which rows are surely right; a null or NaN where a value is needed makes one not so."""
        times = table["timestamp"]
        checks = [
            _text(table["user"], MAX_ID),
            _text(table["item"], MAX_ID),
            pc.greater_equal(table["rating"], self._scale.low),
            pc.less_equal(table["rating"], self._scale.high),
            pc.or_kleene(
                pc.is_null(times), pc.and_(pc.greater_equal(times, 0.0), pc.less(times, LATEST))
            ),
            pc.or_kleene(pc.is_null(table["event_id"]), _text(table["event_id"], MAX_EVENT_ID)),
        ]
        valid = checks[0]
        for check in checks[1:]:
            valid = pc.and_(valid, check)
        return pc.fill_null(valid, False)

    def _encoded(self, table: pa.Table) -> Iterator[Record]:
        """As `recommender.ratings.encode` writes them."""
        quoted: dict[str, str] = {}

        def text(value: str) -> str:
            found = quoted.get(value)
            if found is None:
                found = quoted[value] = to_json(value).decode()
            return found

        now = self._now()
        columns = (table[name].to_pylist() for name in _RATINGS.names)
        for user, item, rating, timestamp, event in zip(*columns, strict=True):
            time = now if timestamp is None else timestamp
            end = "" if event is None else f',"event_id":{text(event)}'
            yield (
                user.encode(),
                f'{{"user":{text(user)},"item":{text(item)},"rating":{rating!r},'
                f'"timestamp":{time!r}{end}}}'.encode(),
            )


class ItemLines:
    """Catalogue entries; in CSV genres are separated by ``|``, other columns are attributes."""

    numbers = frozenset({"year"})

    def quickly(self, lines: list[bytes], header: list[str] | None) -> list[Record] | None:
        """Nothing is quick about entries of any shape."""
        return None if lines else []

    def one(self, fields: bytes | dict[str, Any]) -> Record:
        """One entry."""
        if isinstance(fields, dict):
            own: dict[str, Any] = {
                name: fields.pop(name) for name in ("item", "title") if name in fields
            }
            if "genres" in fields:
                fields["genres"] = [genre for genre in fields["genres"].split("|") if genre]
            fields = {**own, "attributes": fields}
        entry: CatalogueItem = _read(CatalogueItem, fields)
        return entry.item.encode(), encode_item(entry)


def _read(kind: type[Any], fields: bytes | dict[str, Any]) -> Any:
    model: type[BaseModel] = kind
    if isinstance(fields, dict):
        return model.model_validate(fields)
    return model.model_validate_json(fields)


def _json_table(lines: list[bytes]) -> pa.Table | None:
    values = pa.array(lines, pa.binary())
    # Each must be one line with one object, or lines and rows would not match.
    one_object = pc.and_(
        pc.and_(pc.starts_with(values, b"{"), pc.ends_with(values, b"}")),
        pc.invert(pc.match_substring_regex(values, r"\}\s*\{")),
    )
    if not pc.all(one_object).as_py():
        return None
    values.cast(pa.string())  # the parser takes any bytes for text; this checks for UTF-8
    joined = b"\n".join(lines)
    return pyarrow.json.read_json(
        pa.BufferReader(joined),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(joined) + 1),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=_RATINGS, unexpected_field_behavior="error"
        ),
    )


def _csv_table(lines: list[bytes], header: list[str]) -> pa.Table | None:
    if not {"user", "item", "rating"} <= set(header) <= set(_RATINGS.names):
        return None
    if len(set(header)) != len(header):
        return None
    joined = b"\n".join(lines)
    table = pyarrow.csv.read_csv(
        pa.BufferReader(joined),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, block_size=len(joined) + 1, column_names=header
        ),
        parse_options=pyarrow.csv.ParseOptions(ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: _RATINGS.field(name).type for name in header},
            strings_can_be_null=True,
            null_values=[""],
            quoted_strings_can_be_null=True,
        ),
    )
    missing = [name for name in _RATINGS.names if name not in header]
    for name in missing:
        table = table.append_column(name, pa.nulls(len(table), _RATINGS.field(name).type))
    return table


def _text(texts: pa.ChunkedArray, longest: int) -> pa.ChunkedArray:
    length = pc.utf8_length(texts)
    return pc.and_(
        pc.and_(pc.greater(length, 0), pc.less_equal(length, longest)),
        pc.invert(pc.match_substring_regex(texts, r"[\x00-\x1f\x7f-\x{9f}]")),
    )
