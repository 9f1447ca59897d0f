"""The search in titles."""

from __future__ import annotations

import pytest

from predictor.catalogue import Catalogue
from storage.reading import CatalogueEntry

TITLES = {
    "1": "Toy Story (1995)",
    "2": "Matrix, The (1999)",
    "3": "Amélie (2001)",
    "4": "Seven Samurai (Shichinin no samurai) (1954)",
    "5": "Up (2009)",
    "6": "1984",
    "7": "Shawshank Redemption, The (1994)",
    "8": "Star Wars: Episode IV - A New Hope (1977)",
}


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(CatalogueEntry(item, title, {}) for item, title in TITLES.items())


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("toy story", "1"),
        ("the matrix", "2"),
        ("matirx", "2"),
        ("AMELIE", "3"),
        ("seven samuray", "4"),
        ("up", "5"),
        ("1984", "6"),
        ("shawshenk", "7"),
        ("new hope star wars", "8"),
    ],
)
def test_finds_titles_with_typing_errors(catalogue, text, first):
    assert catalogue.search(text, 3)[0].item == first


def test_finds_nothing_where_nothing_is_alike(catalogue):
    assert catalogue.search("qqqqqqxxxx", 5) == []


def test_takes_up_new_and_changed_titles(catalogue):
    catalogue.put([CatalogueEntry("9", "Brazil (1985)", {}), CatalogueEntry("1", "Heat", {})])
    assert catalogue.search("brasil", 1)[0].item == "9"
    assert catalogue.search("heat", 1)[0].item == "1"
    assert all(found.item != "1" for found in catalogue.search("toy story", 5))
    assert catalogue.title("1") == "Heat"


def test_items_without_a_title_are_known_but_not_found():
    catalogue = Catalogue([CatalogueEntry("1", None, {"year": 1999})])
    assert "1" in catalogue
    assert catalogue.search("1999", 5) == []
