"""Titles as people read them. The catalogue's own text is data and is never markup."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlencode

FILM_PAGE = "/film"

_YEAR = re.compile(r"^(?P<name>.+?)\s*\((?P<year>\d{4})(?:[-–]\d{0,4})?\)\s*$", re.DOTALL)
_ARTICLE = re.compile(r"^(?P<name>.+), (?P<article>The|A|An)$")


class Title(NamedTuple):
    """A title for the eye: the name, and the year where the catalogue's text ends with one."""

    name: str
    year: str

    @property
    def spoken(self) -> str:
        """The whole, for labels."""
        return f"{self.name} ({self.year})" if self.year else self.name


def readable(title: str | None, item: str) -> Title:
    """The readable form of a catalogue title; an item without one goes by its id.

    Examples
    --------
    >>> readable("Matrix, The (1999)", "2571")
    Title(name='The Matrix', year='1999')
    >>> readable(None, "2571")
    Title(name='Item 2571', year='')
    """
    if not title or not title.strip():
        return Title(f"Item {item}", "")
    name, year = title.strip(), ""
    if match := _YEAR.match(name):
        name, year = match["name"], match["year"]
    if match := _ARTICLE.match(name):
        name = f"{match['article']} {match['name']}"
    return Title(name, year)


def film_page(item: str) -> str:
    """The address of a film's page.

    Examples
    --------
    >>> film_page("a/b & c")
    '/film?item=a%2Fb+%26+c'
    """
    return f"{FILM_PAGE}?{urlencode({'item': item})}"
