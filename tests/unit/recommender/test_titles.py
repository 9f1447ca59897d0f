"""Titles are found as people type them."""

from __future__ import annotations

import pytest

from recommender.errors import InvalidInput
from recommender.titles import Titles

CATALOGUE = {
    "1": "Iron Man (2008)",
    "2": "Iron Man 2 (2010)",
    "3": "Matrix, The (1999)",
    "4": "Misérables, Les (1995)",
    "5": "Star Wars: Episode IV - A New Hope (1977)",
    "6": "Man in the Iron Mask, The (1998)",
    "7": "Iron Giant, The (1999)",
    "8": "Sabrina (1954)",
    "9": "Sabrina (1995)",
    "10": "Jeanne Dielman, 23 Quai du Commerce, 1080 Bruxelles (Jeanne Dielman) (1975)",
}
TITLES = Titles(CATALOGUE, {"9": 20, "8": 10})


@pytest.mark.parametrize(
    ("typed", "item"),
    [
        ("Iron Man", "1"),
        ("iron mna", "1"),
        ("IRON MAN 2", "2"),
        ("the matirx", "3"),
        ("Matrix, The", "3"),
        ("les miserables", "4"),
        ("star wars a new hope", "5"),
        ("man in the iron mask", "6"),
        ("sabrina", "9"),  # the more rated one
        ("Sabrina (1954)", "8"),
        ("jeanne dielman", "10"),
    ],
)
def test_the_film_that_is_meant(typed: str, item: str) -> None:
    assert TITLES.find(typed)[0].item == item


def test_several_in_order_of_likeness() -> None:
    found = TITLES.find("iron man", limit=3)

    assert [match.item for match in found][:2] == ["1", "2"]
    assert found[0].score == 100
    assert found[0].score > found[1].score >= found[2].score


@pytest.mark.parametrize("typed", ["zzzzqqq", "Citizen Kane", ""])
def test_what_is_not_there_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput, match="a title like one of the catalogue's"):
        TITLES.find(typed)
