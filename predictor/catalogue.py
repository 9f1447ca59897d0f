"""What the catalogue says about the items, and the search in its titles."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rapidfuzz import fuzz, process, utils

from predictor.items import ItemTable, Positions
from predictor.text_table import TextTable, columns, equal, strings, taken
from recommender.rows import RowFormat
from storage.reading import NO_ATTRIBUTES, CatalogueEntry

CUTOFF = 60.0
"""Likeness below which a title is no answer: one wrong letter in a word of five still has 80."""

CANDIDATES = 200
"""Titles compared by popularity after likeness; more than any list shown."""

MOST_NAMED = 10_000
"""Items whose id and title are kept as strings, some 3 MB: lists name the same items over and over,
and reading their bytes takes longer than finding them."""

_NO_POSITIONS: Positions = np.zeros(0, np.intp)

_YEAR = re.compile(r"\s*\(\d{4}\)\s*$")
_ARTICLE = re.compile(r"^(?P<rest>.+), (?P<article>the|a|an|la|le|les|el|il|der|die|das)$", re.I)


class Match(NamedTuple):
    """One title found: the item, and the likeness of its title from 0 to 100."""

    item: str
    likeness: float


class Catalogue:
    """Entries by item; titles can be searched with typing errors.

    Parameters
    ----------
    entries : iterable of CatalogueEntry
    items : ItemTable, optional
        Where the items have their positions; one of its own if there is none.

    Examples
    --------
    >>> films = Catalogue([CatalogueEntry("2571", "Matrix, The (1999)", {})])
    >>> films.title("2571"), [found.item for found in films.search("teh matrx", 5)]
    ('Matrix, The (1999)', ['2571'])
    """

    def __init__(
        self, entries: Iterable[CatalogueEntry] = (), items: ItemTable | None = None
    ) -> None:
        self._items = ItemTable(RowFormat(0, 0)) if items is None else items
        self._titles: TextTable[str | None] = TextTable()
        self._attributes: TextTable[str | None] = TextTable()  # as JSON; None: there is no entry
        # Titles as they are compared are made when they are searched: a million take seconds.
        self._new: list[Positions] = []
        self._plain: dict[int, str] = {}
        self._making, self._taking = Lock(), Lock()
        self._renamed: list[Positions] | None = None  # nobody asks
        self._named: dict[int, tuple[str, str | None]] = {}
        self.put(entries)

    def __getstate__(self) -> dict[str, Any]:
        """Without what the search has made of the titles."""
        return {name: vars(self)[name] for name in ("_items", "_titles", "_attributes")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._new, self._plain = [np.arange(len(self._titles))], {}
        self._making, self._taking = Lock(), Lock()
        self._renamed = None
        self._named = {}

    def take_renamed(self) -> Positions | None:
        """Positions whose titles have changed since it was asked for last; None: all may have."""
        found = None if self._renamed is None else np.concatenate([*self._renamed, _NO_POSITIONS])
        self._renamed = []
        return found

    def search_as(self, before: Catalogue, renamed: Positions) -> None:
        """Go on with what another one has made of the titles of the same items.

        Parameters
        ----------
        before : Catalogue
        renamed : (m,) intp
            Positions whose titles are not those of before.
        """
        self._plain, self._making, self._taking = before._plain, before._making, before._taking
        self._named = before._named
        self._forget_names(renamed)
        with self._taking:
            before._new.append(renamed)
            self._new = before._new

    @property
    def holders(self) -> list[object]:
        """The objects that have its large arrays."""
        return [self._titles, self._attributes]

    def __contains__(self, item: str) -> bool:
        return self.entry(item) is not None

    def entry(self, item: str) -> CatalogueEntry | None:
        """All that is known of an item."""
        place = self._items.position(item)
        if place is None or place >= len(self._titles):
            return None
        attributes = self._attributes[place]
        return (
            None
            if attributes is None
            else CatalogueEntry(item, self._titles[place], _parsed(attributes))
        )

    def title(self, item: str) -> str | None:
        """An item's title, where it has one."""
        place = self._items.position(item)
        return None if place is None else self.title_at(place)

    def title_at(self, position: int) -> str | None:
        """Title of the item at a position, where it has one."""
        return self._titles[position] if position < len(self._titles) else None

    def named(self, positions: Sequence[int]) -> list[tuple[str, str | None]]:
        """Ids and titles of the items at some positions; those of items listed of late are kept."""
        found = [self._named.get(position) for position in positions]
        if None in found:
            missing = [p for p, names in zip(positions, found, strict=True) if names is None]
            if len(self._named) + len(missing) > MOST_NAMED:
                self._named.clear()
            ids = self._items.ids.several(missing)
            titles = (
                self._titles.several(missing)
                if max(missing) < len(self._titles)
                else [self.title_at(position) for position in missing]  # some are in no catalogue
            )
            new = dict(zip(missing, zip(ids, titles, strict=True), strict=True))
            self._named.update(new)
            found = [names or new[p] for p, names in zip(positions, found, strict=True)]
        return cast("list[tuple[str, str | None]]", found)

    def attributes_at(self, position: int) -> Mapping[str, Any]:
        """Attributes of the item at a position; none where there is no entry."""
        known = self._attributes[position] if position < len(self._attributes) else None
        return _parsed(known or "{}")

    def described(self, positions: Positions) -> npt.NDArray[np.bool_]:
        """Which of the items at some positions have attributes."""
        return described(self._attributes.take(positions))

    def put(self, entries: Iterable[CatalogueEntry]) -> None:
        """Take up entries, new or changed, and their items."""
        batch = as_batch(entries)
        self.put_at(self._items.add(batch["item"]), batch)

    def put_at(self, positions: Positions, batch: pa.RecordBatch) -> None:
        """Take up entries of items at known positions, each named once."""
        with self._taking:
            for table in (self._titles, self._attributes):
                table.resize(len(self._items))
            same = equal(self._titles.take(positions), batch["title"])
            self._titles.put(positions, batch["title"])
            self._attributes.put(positions, batch["attributes"])
            self._forget_names(positions)
            self._new.append(positions[~same])
            if self._renamed is not None:
                self._renamed.append(positions[~same])

    def _forget_names(self, positions: Positions) -> None:
        if len(positions) > len(self._named):
            self._named.clear()
        for position in positions.tolist() if self._named else ():
            self._named.pop(position, None)

    def changed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The entries of a batch that are not as they are known here."""
        places = self._items.places(batch["item"])
        same = equal(self._titles.take(places), batch["title"])
        same &= equal(self._attributes.take(places), batch["attributes"])
        found: pa.RecordBatch = taken(batch, np.flatnonzero(~same))
        return found

    def search(self, text: str, n: int) -> list[Match]:
        """The items whose titles are most like a text, best first, at most ``max(n, CANDIDATES)``.

        Safe to call in another thread than the one that calls `put`.
        """
        with self._making:
            with self._taking:
                new, self._new = self._new, []
                titled = [(place, self._titles[place]) for some in new for place in some.tolist()]
            self._plain.update((place, plain_title(title or "")) for place, title in titled)
            places, titles = list(self._plain), list(self._plain.values())
        # cdist lets other threads run meanwhile; process.extract holds them up until it is done.
        likeness = process.cdist(
            [plain_title(text)],
            titles,
            scorer=fuzz.WRatio,
            score_cutoff=CUTOFF,
            dtype=np.float32,
        )[0]
        alike = np.flatnonzero(likeness)  # below the cutoff it is 0
        order = alike[np.argsort(-likeness[alike], kind="stable")[: max(n, CANDIDATES)]]
        return [
            Match(self._items.ids[places[found]], float(likeness[found]))
            for found in order.tolist()
        ]


def as_batch(entries: Iterable[CatalogueEntry]) -> pa.RecordBatch:
    """Entries, the last of each item, in the form of `Snapshot.catalogue_batches`."""
    latest = {entry.item: entry for entry in entries}.values()
    named: dict[str, list[str | None]] = {
        "item": [entry.item for entry in latest],
        "title": [entry.title for entry in latest],
        "attributes": [json.dumps(dict(entry.attributes)) for entry in latest],
    }
    return pa.RecordBatch.from_arrays([strings(values) for values in named.values()], list(named))


def described(attributes: pa.Array) -> npt.NDArray[np.bool_]:
    """Which of some attributes, as JSON, are not empty."""
    _, lengths, _ = columns(attributes)
    return lengths > len("{}")


def _parsed(attributes: str) -> Mapping[str, Any]:
    if attributes == "{}":
        return NO_ATTRIBUTES
    found: Mapping[str, Any] = json.loads(attributes)
    return found


def plain_title(title: str) -> str:
    """A title as it is compared: lower case, no accents, year or punctuation, the article in front.

    Examples
    --------
    >>> plain_title("Matrix, The (1999)"), plain_title("Amélie (2001)")
    ('the matrix', 'amelie')
    """
    bare = _YEAR.sub("", title)
    if turned := _ARTICLE.match(bare):
        bare = f"{turned['article']} {turned['rest']}"
    if not bare.isascii():
        letters = unicodedata.normalize("NFKD", bare)
        bare = "".join(c for c in letters if not unicodedata.combining(c))
    plain: str = utils.default_process(bare)
    # A title made of nothing else ("(1984)", "M*A*S*H" has letters) is compared as it stands.
    return plain or utils.default_process(title)
