"""The search in titles."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from predictor import catalogue as catalogue_module
from predictor.catalogue import Catalogue
from predictor.items import ItemTable
from recommender.rows import RowFormat
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


def test_named_items_follow_their_catalogue(monkeypatch):
    monkeypatch.setattr(catalogue_module, "MOST_NAMED", 3)
    items = ItemTable(RowFormat(2, 0))
    items.add(["a", "b", "c", "d"])
    catalogue = Catalogue([CatalogueEntry("b", "Before", {})], items)
    assert catalogue.named([1, 0]) == [("b", "Before"), ("a", None)]
    catalogue.put([CatalogueEntry("b", "After", {}), CatalogueEntry("d", None, {})])
    assert catalogue.named([0, 1, 3]) == [("a", None), ("b", "After"), ("d", None)]
    catalogue.put([CatalogueEntry("a", "At last", {})])
    for _ in range(2):  # more than are kept
        assert catalogue.named([3, 0, 2]) == [("d", None), ("a", "At last"), ("c", None)]
    copied = pickle.loads(pickle.dumps(catalogue))
    assert copied.named([1, 0]) == [("b", "After"), ("a", "At last")]
    copied.put([CatalogueEntry("b", "Later", {})])
    copied.search_as(catalogue, np.array([1]))  # which knew it by another title
    assert copied.named([1, 0]) == [("b", "Later"), ("a", "At last")]
    assert catalogue.named([]) == []


def test_items_without_a_title_are_known_but_not_found():
    catalogue = Catalogue([CatalogueEntry("1", None, {"year": 1999})])
    assert "1" in catalogue
    assert catalogue.search("1999", 5) == []
