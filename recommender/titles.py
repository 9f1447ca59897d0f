"""Finding films by title, as people type them: without the year, the article behind, misspelt."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import rapidfuzz

from recommender.errors import InvalidInput

LOWEST_SCORE = 70.0
"""Of 100, by rapidfuzz's WRatio: below, a title is another one; two letters wrong in ten pass."""

_YEAR = re.compile(r"\s*\((\d{4})(?:[-–]\d{0,4})?\)\s*$")
_ARTICLE = re.compile(r"^(.+), (the|a|an|le|la|les|der|die|das|el|il)$")
_OTHER = re.compile(r"[^\w ]+")


@dataclass(frozen=True)
class Match:
    """A film that was meant.

    Parameters
    ----------
    item, title : str
        As the catalogue has them.
    score : float
        How alike the titles are, up to 100.
    """

    item: str
    title: str
    score: float


class Titles:
    """A catalogue's titles, to be found in.

    Parameters
    ----------
    titles : mapping of str to str
        Item to title.
    popularity : mapping of str to int
        Ratings of each item: of films that match as well, the most rated is meant.
    """

    def __init__(self, titles: Mapping[str, str], popularity: Mapping[str, int]) -> None:
        self._items = sorted(titles, key=lambda item: -popularity.get(item, 0))
        self._titles = titles
        self._plain = [plain(titles[item]) for item in self._items]
        self._with_year = [plain(titles[item], year=True) for item in self._items]

    def find(self, text: str, limit: int = 1) -> list[Match]:
        """The films whose titles are most like the text, best first.

        Raises
        ------
        InvalidInput
            If none is like it.

        Examples
        --------
        >>> titles = Titles({"1": "Iron Man (2008)", "2": "Matrix, The (1999)"}, {})
        >>> [match.item for match in titles.find("the matirx")]
        ['2']
        """
        year = _YEAR.search(text)
        wanted, choices = plain(text, year=bool(year)), self._with_year if year else self._plain
        # ratio: the whole title; WRatio: also a part of it, at a discount. The sort is stable, so
        # popularity decides between equals.
        found = rapidfuzz.process.extract(
            wanted, choices, scorer=_likeness, limit=None, score_cutoff=LOWEST_SCORE
        )
        if not found:
            raise InvalidInput("movie", text, "a title like one of the catalogue's")
        ordered = sorted(found, key=lambda one: (-one[1], one[2]))[:limit]
        return [
            Match(self._items[place], self._titles[self._items[place]], round(score, 1))
            for _, score, place in ordered
        ]


def plain(title: str, year: bool = False) -> str:
    """A title without case, accents, punctuation, with its article in front.

    Examples
    --------
    >>> plain("Misérables, Les (1995)"), plain("Matrix, The (1999)", year=True)
    ('les miserables', 'the matrix 1999')
    """
    found = _YEAR.search(title)
    name = _YEAR.sub("", title).casefold().strip()
    if match := _ARTICLE.match(name):
        name = f"{match[2]} {match[1]}"
    decomposed = unicodedata.normalize("NFKD", name)
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    bare = " ".join(_OTHER.sub(" ", bare).split())
    return f"{bare} {found[1]}" if year and found else bare


def _likeness(one: str, other: str, *, score_cutoff: float | None = None) -> float:
    """Mostly of the whole titles; a part that fits decides between those that do not."""
    whole = rapidfuzz.fuzz.ratio(one, other)
    part = rapidfuzz.fuzz.WRatio(one, other)
    found = max(whole, 0.9 * part)
    return found if score_cutoff is None or found >= score_cutoff else 0.0
