"""Data sets: ratings with their catalogue and scale, from MovieLens or from any CSV."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recommender import movielens
from recommender.errors import InvalidData
from recommender.rating_files import Layout, layout_of, read_ratings

_RATING_FILES = (".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz", ".txt.gz")


@dataclass(frozen=True)
class IndexedRatings:
    """Ratings with dense integer codes in place of ids.

    Codes count from 0 in order of first appearance; ``user_ids[users[k]]`` is the user of rating k.
    """

    users: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    ratings: npt.NDArray[np.float32]
    timestamps: npt.NDArray[np.float64]
    user_ids: pa.StringArray
    item_ids: pa.StringArray

    def by_time(self) -> IndexedRatings:
        """The same ratings, the oldest first; those of one time stay in their order."""
        order = np.argsort(self.timestamps, kind="stable")
        return replace(
            self,
            users=self.users[order],
            items=self.items[order],
            ratings=self.ratings[order],
            timestamps=self.timestamps[order],
        )


@dataclass(frozen=True)
class Dataset:
    """Ratings in file order, with the catalogue and the scale.

    Parameters
    ----------
    name : str
        What it is called, e.g. ``ml-latest-small``.
    users, items : pyarrow.DictionaryArray of string, length n
        Ids as text. A dictionary array holds each id once and an int32 code per rating: 4 bytes a
        rating, and `indexed` costs next to nothing. ``.to_pylist()`` gives str,
        ``.cast(pyarrow.string())`` the plain array.
    ratings : numpy.ndarray of float32, shape (n,)
    timestamps : numpy.ndarray of float64, shape (n,)
        Seconds since the epoch; the row number (0, 1, ...) where the file has no times, so that
        order by time is file order.
    catalogue : list of dict
        ``{"item": str, "title": str | None, "attributes": {"genres": [str], "year": int}}``.
    rating_min, rating_max : float
        The scale; see `scale_of` for files that do not state it.
    """

    name: str
    users: pa.DictionaryArray
    items: pa.DictionaryArray
    ratings: npt.NDArray[np.float32]
    timestamps: npt.NDArray[np.float64]
    catalogue: list[dict[str, Any]] = field(default_factory=list)
    rating_min: float = movielens.RATING_MIN
    rating_max: float = movielens.RATING_MAX

    def __post_init__(self) -> None:
        lengths = {len(self.users), len(self.items), len(self.ratings), len(self.timestamps)}
        if len(lengths) != 1:
            raise ValueError(f"columns of unequal length: {sorted(lengths)}")

    def __len__(self) -> int:
        """Number of ratings."""
        return len(self.ratings)

    def take(self, rows: npt.NDArray[np.integer[Any]] | npt.NDArray[np.bool_]) -> Dataset:
        """Ratings of the given rows (indices in any order, or a mask); catalogue and scale stay."""
        indices = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        chosen = pa.array(indices)
        return Dataset(
            name=self.name,
            users=self.users.take(chosen),
            items=self.items.take(chosen),
            ratings=self.ratings[indices],
            timestamps=self.timestamps[indices],
            catalogue=self.catalogue,
            rating_min=self.rating_min,
            rating_max=self.rating_max,
        )

    def by_time(self) -> npt.NDArray[np.int64]:
        """Rows in order of time; rows of one time stay in file order. Shape ``(n,)``."""
        return np.argsort(self.timestamps, kind="stable")

    def indexed(self) -> IndexedRatings:
        """The ratings with dense codes, in file order."""
        users, user_ids = _dense(self.users)
        items, item_ids = _dense(self.items)
        return IndexedRatings(users, items, self.ratings, self.timestamps, user_ids, item_ids)


def load(path: str | Path) -> Dataset:
    """Read a data set.

    Parameters
    ----------
    path : str or Path
        A MovieLens zip or folder of any vintage, or a CSV/TSV file (also ``.gz``, or alone in a
        zip) with a header of user, item, rating and optionally timestamp, in any order and case;
        MovieLens' names are understood and further columns ignored.

    Raises
    ------
    InvalidData
        If there is nothing to read there, or something in it is wrong: names file, line, column,
        value and what is allowed.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _from_folder(path, path.resolve().name)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _from_folder(zipfile.Path(archive), path.stem)
        if path.is_file():
            return _from_file(path.name, partial(_open, path))
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise InvalidData(f"{path}: cannot be read: {error}") from error
    raise InvalidData(f"{path}: does not exist; expected a MovieLens zip or folder, or a CSV file")


def concatenate(first: Dataset, second: Dataset) -> Dataset:
    """The ratings of one after those of the other; name and catalogue of the first.

    The scale spans both.
    """
    return Dataset(
        name=first.name,
        users=_unified([first.users, second.users]),
        items=_unified([first.items, second.items]),
        ratings=np.concatenate([first.ratings, second.ratings]),
        timestamps=np.concatenate([first.timestamps, second.timestamps]),
        catalogue=first.catalogue,
        rating_min=min(first.rating_min, second.rating_min),
        rating_max=max(first.rating_max, second.rating_max),
    )


def scale_of(ratings: npt.NDArray[np.float32]) -> tuple[float, float]:
    """The scale that ratings seem to be given on.

    Lowest and highest rating where all ratings are whole or half numbers; otherwise those rounded
    outwards to whole numbers. Where all ratings are the same r, from 0 to r if r is positive, else
    from r to r + 1.

    Examples
    --------
    >>> scale_of(np.array([1.5, 4], dtype=np.float32))
    (1.5, 4.0)
    >>> scale_of(np.array([1.5, 4.2], dtype=np.float32))
    (1.0, 5.0)
    """
    low, high = float(ratings.min()), float(ratings.max())
    if (ratings * 2 != np.rint(ratings * 2)).any():
        low, high = float(math.floor(low)), float(math.ceil(high))
    if low == high:
        return (0.0, high) if high > 0 else (low, low + 1)
    return low, high


def _open(path: Path) -> IO[bytes]:
    stream: IO[bytes] = pa.input_stream(str(path))  # unpacks by the file's ending
    return stream


def _from_folder(folder: Traversable, name: str) -> Dataset:
    files = movielens.find(folder)
    if files is not None:
        return _from_file(
            files.ratings.name,
            files.open_ratings,
            layout=files.layout,
            name=name,
            catalogue=movielens.read_catalogue(files),
        )
    candidates = [
        entry
        for entry in folder.iterdir()
        if entry.is_file() and entry.name.lower().endswith(_RATING_FILES)
    ]
    if len(candidates) == 1:
        return _from_file(candidates[0].name, lambda: candidates[0].open("rb"), name=name)
    raise InvalidData(
        f"{name}: holds neither ratings.csv, ratings.dat or u.data nor exactly one CSV file "
        f"({len(candidates)} found); expected a MovieLens data set or one file of ratings"
    )


def _from_file(
    file_name: str,
    opener: Callable[[], IO[bytes]],
    *,
    layout: Layout | None = None,
    name: str | None = None,
    catalogue: list[dict[str, Any]] | None = None,
) -> Dataset:
    if layout is None:
        with opener() as file:
            first_line = file.read(1 << 16).split(b"\n", 1)[0]
        try:
            layout = layout_of(first_line.decode("utf-8"), file_name)
        except UnicodeDecodeError as error:
            raise InvalidData(f"{file_name}, line 1: is not UTF-8 text ({error})") from error
    columns = read_ratings(opener, layout, file_name)
    low, high = scale_of(columns.ratings)
    headers = {column.strip().lower() for column in layout.columns}
    if "movieid" in headers and low >= movielens.RATING_MIN and high <= movielens.RATING_MAX:
        low, high = movielens.RATING_MIN, movielens.RATING_MAX
    return Dataset(
        name=name or file_name.split(".")[0],
        users=columns.users,
        items=columns.items,
        ratings=columns.ratings,
        timestamps=columns.timestamps,
        catalogue=catalogue or [],
        rating_min=low,
        rating_max=high,
    )


def _unified(parts: list[pa.DictionaryArray]) -> pa.DictionaryArray:
    return pa.chunked_array(parts).unify_dictionaries().combine_chunks()


def _dense(ids: pa.DictionaryArray) -> tuple[npt.NDArray[np.int32], pa.StringArray]:
    """Codes in order of first appearance, without ids that `Dataset.take` left unused."""
    codes = ids.indices.to_numpy()
    first = np.full(len(ids.dictionary), len(codes), dtype=np.int64)
    # Written back to front, so that each code keeps its first position.
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    used = np.argsort(first, kind="stable")[: np.count_nonzero(first < len(codes))]
    dense = np.zeros(len(ids.dictionary), dtype=np.int32)
    dense[used] = np.arange(len(used), dtype=np.int32)
    return dense[codes], ids.dictionary.take(pa.array(used))
