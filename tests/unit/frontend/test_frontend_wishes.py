"""Wishes as the predictor takes them and as a visitor's storage keeps them."""

from __future__ import annotations

import pytest

from frontend.wishes import Wishes


def test_nothing_is_asked_for_at_first() -> None:
    assert Wishes().query == {}
    assert Wishes().count == 0


def test_what_is_asked_for() -> None:
    wishes = Wishes(genres=("Drama", "War"), year_min=0, diversity=0.5)

    assert wishes.query == {"genre": ["Drama", "War"], "year_min": 0, "diversity": 0.5}
    assert wishes.count == 3
    assert Wishes.restored(wishes.stored()) == wishes


@pytest.mark.parametrize("stored", [None, [], "x", {"unheard": 1}])
def test_what_another_version_kept_is_no_wish(stored: object) -> None:
    assert Wishes.restored(stored) == Wishes()
