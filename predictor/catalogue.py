"""What the catalogue says about the items, and the search in its titles."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from rapidfuzz import fuzz, process, utils

from storage.reading import NO_ATTRIBUTES, CatalogueEntry

CUTOFF = 60.0
"""Likeness below which a title is no answer: one wrong letter in a word of five still has 80."""

CANDIDATES = 200
"""Titles compared by popularity after likeness; more than any list shown."""

_YEAR = re.compile(r"\s*\(\d{4}\)\s*$")
_ARTICLE = re.compile(r"^(?P<rest>.+), (?P<article>the|a|an|la|le|les|el|il|der|die|das)$", re.I)


class Match(NamedTuple):
    """One title found: the item, and the likeness of its title from 0 to 100."""

    item: str
    likeness: float


class Catalogue:
    """Entries by item; titles can be searched with typing errors.

    Examples
    --------
    >>> films = Catalogue([CatalogueEntry("2571", "Matrix, The (1999)", {})])
    >>> films.title("2571"), [found.item for found in films.search("teh matrx", 5)]
    ('Matrix, The (1999)', ['2571'])
    """

    def __init__(self, entries: Iterable[CatalogueEntry] = ()) -> None:
        self._entries: dict[str, CatalogueEntry] = {}
        # Titles as they are compared are made when they are searched: a million take seconds.
        self._new: list[str] = []
        self._plain: dict[str, str] = {}
        self._making, self._taking = Lock(), Lock()
        self.put(entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def entry(self, item: str) -> CatalogueEntry | None:
        """All that is known of an item."""
        return self._entries.get(item)

    def title(self, item: str) -> str | None:
        """An item's title, where it has one."""
        entry = self._entries.get(item)
        return None if entry is None else entry.title

    def attributes(self, item: str) -> Mapping[str, Any]:
        """An item's attributes; none where it is not known."""
        entry = self._entries.get(item)
        return NO_ATTRIBUTES if entry is None else entry.attributes

    def put(self, entries: Iterable[CatalogueEntry]) -> None:
        """Take up entries, new or changed."""
        with self._taking:
            for entry in entries:
                item = entry.item
                if entry.title != self.title(item):
                    self._new.append(item)
                self._entries[item] = entry

    def search(self, text: str, n: int) -> list[Match]:
        """The items whose titles are most like a text, best first, at most ``max(n, CANDIDATES)``.

        Safe to call in another thread than the one that calls `put`.
        """
        with self._making:
            with self._taking:
                new, self._new = self._new, []
            self._plain.update((item, plain_title(self.title(item) or "")) for item in new)
            items, titles = list(self._plain), list(self._plain.values())
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
        return [Match(items[place], float(likeness[place])) for place in order.tolist()]


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
