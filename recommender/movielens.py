"""The shapes in which GroupLens publishes MovieLens: where the ratings are, and what the films are.

ml-latest*, ml-25m, ml-32m, ml-20m: ``ratings.csv``, ``movies.csv``; ml-1m, ml-10m: ``ratings.dat``,
``movies.dat`` with ``::`` between fields; ml-100k: ``u.data``, ``u.item``, ``u.genre``.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import IO, Any

from recommender.errors import InvalidData
from recommender.rating_files import Layout

RATING_MIN, RATING_MAX = 0.5, 5.0  # half stars; the oldest sets use whole stars of the same scale

_YEAR = re.compile(r"\((\d{4})(?:\s*[-–]\s*(?:\d{4})?)?\)\s*$")
_NO_GENRES = "(no genres listed)"
_COLUMNS = ("userId", "movieId", "rating", "timestamp")


@dataclass(frozen=True)
class Files:
    """The files of one MovieLens data set."""

    ratings: Traversable
    films: Traversable | None
    genres: Traversable | None  # ml-100k keeps the genres' names apart
    layout: Layout | None  # None: the ratings say it themselves, in a header

    def open_ratings(self) -> IO[bytes]:
        """The ratings from their start, with one-character delimiters."""
        if self.ratings.name != "ratings.dat":
            return self.ratings.open("rb")
        # pyarrow.csv takes delimiters of one character only.
        return io.BytesIO(self.ratings.read_bytes().replace(b"::", b"\t"))


def find(folder: Traversable) -> Files | None:
    """The MovieLens files in a folder (or zip), or in its only subfolder; None if it holds none."""
    entries = {
        entry.name: entry for entry in folder.iterdir() if not entry.name.startswith(("_", "."))
    }
    if "ratings.csv" in entries:
        return Files(entries["ratings.csv"], entries.get("movies.csv"), None, None)
    if "ratings.dat" in entries:
        layout = Layout("\t", _COLUMNS, skip=0, quoted=False)
        return Files(entries["ratings.dat"], entries.get("movies.dat"), None, layout)
    if "u.data" in entries:
        layout = Layout("\t", _COLUMNS, skip=0, quoted=False)
        return Files(entries["u.data"], entries.get("u.item"), entries.get("u.genre"), layout)
    subfolders = [entry for entry in entries.values() if entry.is_dir()]
    return find(subfolders[0]) if len(subfolders) == 1 else None


def read_catalogue(files: Files) -> list[dict[str, Any]]:
    """The films: ``{"item", "title", "attributes": {"genres": [...], "year": int}}``.

    Titles stay as they are written (``"Matrix, The (1999)"``); ``year`` is left out where the title
    has none.

    Raises
    ------
    InvalidData
        Naming the file, the line and what is expected.
    """
    if files.films is None:
        return []
    text = _decode(files.films.read_bytes())
    if files.films.name == "movies.csv":
        return _from_csv(text)
    if files.films.name == "movies.dat":
        return _from_dat(text)
    genres = _genre_names(files.genres)
    return _from_item(text, genres)


def _decode(content: bytes) -> str:
    """UTF-8; the sets before 2015 are Latin-1 in part."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _from_csv(text: str) -> list[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    for needed in ("movieid", "title"):
        if needed not in names:
            raise InvalidData(
                f"movies.csv, line 1: no column {needed!r}; expected movieId,title,genres"
            )
    entries = []
    for row in reader:
        item, title = row[names["movieid"]], row[names["title"]]
        if not item or title is None:
            raise InvalidData(
                f"movies.csv, line {reader.line_num}: has no id or no title; "
                "expected movieId,title,genres"
            )
        genres = row[names["genres"]] if "genres" in names else None
        entries.append(_entry(item, title, _split(genres or "")))
    return entries


def _from_dat(text: str) -> list[dict[str, Any]]:
    entries = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split("::")
        if len(fields) != 3:
            raise InvalidData(
                f"movies.dat, line {number}: has {len(fields)} fields; "
                "expected MovieID::Title::Genres"
            )
        entries.append(_entry(fields[0], fields[1], _split(fields[2])))
    return entries


def _from_item(text: str, genres: list[str]) -> list[dict[str, Any]]:
    """``u.item``: id, title, release, video release, link, then one 0 or 1 for each genre."""
    entries = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split("|")
        if len(fields) != 5 + len(genres):
            raise InvalidData(
                f"u.item, line {number}: has {len(fields)} fields; expected {5 + len(genres)}, "
                "separated by '|'"
            )
        flags = zip(genres, fields[5:], strict=True)
        entries.append(
            _entry(fields[0], fields[1], [genre for genre, flag in flags if flag == "1"])
        )
    return entries


def _genre_names(file: Traversable | None) -> list[str]:
    if file is None:
        raise InvalidData("u.genre: is missing; u.item cannot be understood without it")
    numbered = (line.split("|") for line in _decode(file.read_bytes()).splitlines() if line.strip())
    return [name for name, _ in sorted(numbered, key=lambda pair: int(pair[1]))]


def _split(genres: str) -> list[str]:
    return [genre for genre in genres.strip().split("|") if genre and genre != _NO_GENRES]


def _entry(item: str, title: str, genres: list[str]) -> dict[str, Any]:
    attributes: dict[str, Any] = {"genres": genres}
    year = _YEAR.search(title)
    if year:
        attributes["year"] = int(year[1])
    return {"item": item, "title": title.strip(), "attributes": attributes}
