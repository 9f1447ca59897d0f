"""Lines of uploads: read together or one by one, the same comes out; wrong ones are named."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from ingest.lines import MAX_LINE, Form, ItemLines, Kind, Lines, RatingLines, Wrong
from recommender.ratings import Scale

NOW = 1_700_000_000.25


class OneByOne(RatingLines):
    def quickly(self, lines: list[bytes], header: list[str] | None) -> None:
        return None


def read(
    part: str | bytes, form: Form = "ndjson", kind: Kind | None = None
) -> tuple[list[tuple[bytes, dict[str, object]]], list[Wrong]]:
    refused: list[Wrong] = []
    lines = Lines(kind or RatingLines(Scale(0.5, 5.0), lambda: NOW), form, refused.append)
    sent = lines.records(part if isinstance(part, bytes) else part.encode())
    return [(key, json.loads(value or b"")) for key, value in sent], refused


RATINGS = """{"user": "ü", "item": "a\\"b", "rating": 4, "timestamp": 9.5, "event_id": "e"}
{"item": "m", "rating": 0.5, "user": "u"}
{"user": "u", "item": "m", "rating": 5.0, "timestamp": null, "event_id": null}
"""
CSV = """item,userId,rating,event_id,timestamp
"a""b",ü,4,e,9.5
m,u,0.5,,
m,u,5,,
"""
EXPECTED = [
    (
        "ü".encode(),
        {"user": "ü", "item": 'a"b', "rating": 4.0, "timestamp": 9.5, "event_id": "e"},
    ),
    (b"u", {"user": "u", "item": "m", "rating": 0.5, "timestamp": NOW}),
    (b"u", {"user": "u", "item": "m", "rating": 5.0, "timestamp": NOW}),
]


@pytest.mark.parametrize("kind", [RatingLines, OneByOne])
@pytest.mark.parametrize(("form", "text"), [("ndjson", RATINGS), ("csv", CSV)])
def test_right_lines_become_the_same_records_either_way(
    kind: type[RatingLines], form: Form, text: str
) -> None:
    found, refused = read(text, form, kind(Scale(0.5, 5.0), lambda: NOW))
    assert found == EXPECTED
    assert refused == []


def test_right_lines_are_read_together() -> None:
    kind = RatingLines(Scale(0.5, 5.0), lambda: NOW)
    assert kind.quickly(RATINGS.encode().splitlines(), None) is not None
    assert kind.quickly(CSV.encode().splitlines()[1:], ["item", "user", "rating"]) is None
    header = ["item", "user", "rating", "event_id", "timestamp"]
    assert kind.quickly(CSV.encode().splitlines()[1:], header) is not None


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b'{"user": "u", "item": "m"}', ["rating"]),
        (b'{"user": "u", "item": "m", "rating": 5.5}', ["rating"]),
        (b'{"user": "u", "item": "m", "rating": NaN}', ["rating"]),
        (b'{"user": "", "item": "a\\u0000", "rating": 4}', ["user", "item"]),
        (b'{"user": "u", "item": "m", "rating": 4, "stars": 4}', ["stars"]),
        (b'{"user": "u", "item": "m", "rating": 4, "timestamp": 1e300}', ["timestamp"]),
        (b'{"user": "u", "item": "m", "rating": 4}{"user": "u"}', ["body"]),
        (b'{"user": "\xff", "item": "m", "rating": 4}', ["body"]),
        (b"nonsense", ["body"]),
        (b"[]", ["body"]),
        (b"{" + b" " * MAX_LINE + b"}", ["line"]),
    ],
)
def test_a_wrong_line_is_named_and_the_others_are_taken(line: bytes, fields: Sequence[str]) -> None:
    good = b'{"user": 17, "item": "m", "rating": 4}'
    found, refused = read(b"\n".join([good, b"", line, good, b""]))
    assert [key for key, _ in found] == [b"17", b"17"]
    assert [(wrong.line, [error.field for error in wrong.errors]) for wrong in refused] == [
        (3, fields)
    ]
    assert all(error.allowed for wrong in refused for error in wrong.errors)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("u,m", "line"),
        ("u,m,4,5", "line"),
        ("u,m,good", "rating"),
        ("u,m,nan", "rating"),
        ("u,,4", "item"),
        ('u,"m,4', "line"),
    ],
)
def test_a_wrong_line_of_csv(line: str, field: str) -> None:
    found, refused = read(f"user,item,rating\nu,m,4\n{line}\n17,m,3\n", "csv")
    assert [key for key, _ in found] == [b"u", b"17"]
    ((wrong),) = refused
    assert (wrong.line, wrong.errors[0].field) == (3, field)


def test_a_header_that_names_other_fields_makes_every_line_wrong() -> None:
    found, refused = read("user,film,rating\nu,m,4\n", "csv")
    assert found == []
    assert {error.field for error in refused[0].errors} == {"film", "item"}


def test_line_numbers_go_on_from_part_to_part() -> None:
    refused: list[Wrong] = []
    lines = Lines(RatingLines(Scale(0.5, 5.0), lambda: NOW), "csv", refused.append)
    good = b"u,m,4\n"
    for part in (b"user,item,rating\n" + good, good + b"bad\n", good + b"bad"):
        list(lines.records(part))
    assert [wrong.line for wrong in refused] == [4, 6]
    assert lines.read == 6


def test_catalogue_entries() -> None:
    text = '{"item": 1, "title": "T", "attributes": {"year": 1999}}\n{"item": 2, "name": "x"}\n'
    found, refused = read(text, "ndjson", ItemLines())
    assert found == [(b"1", {"item": "1", "title": "T", "attributes": {"year": 1999}})]
    assert [error.field for error in refused[0].errors] == ["name"]
    films = 'movieId,title,genres,year,studio\n1,"Heat, The",Crime|Drama,1995,X\n2,,,nineteen,\n'
    found, refused = read(films, "csv", ItemLines())
    attributes = {"genres": ["Crime", "Drama"], "year": 1995, "studio": "X"}
    assert found == [(b"1", {"item": "1", "title": "Heat, The", "attributes": attributes})]
    assert [error.field for error in refused[0].errors] == ["attributes.year"]
