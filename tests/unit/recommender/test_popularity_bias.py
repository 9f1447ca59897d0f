"""Novelty and exposure by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recommender.popularity_bias import exposure, popularity_decile


def test_novelty_is_the_mean_self_information() -> None:
    counts = np.array([8, 4, 1, 0])
    lists = np.array([[0, 1], [2, 3], [1, -1], [-1, -1]], np.int32)

    found = exposure(lists, counts, n_users=8)

    # Of 8 users: all rated item 0 (0 bits), half item 1 (1), one item 2 (3), none item 3 (as one).
    assert found.novelty == pytest.approx([0.5, 3.0, 1.0, math.nan], nan_ok=True)
    assert found.figures()["novelty_at_2"] == pytest.approx(1.5)


def test_exposure_by_decile() -> None:
    counts = np.arange(20)[::-1]  # two items a decile, item 0 the most rated
    lists = np.array([[0, 1, 2], [1, 19, -1]], np.int32)

    found = exposure(lists, counts, n_users=20)

    assert found.deciles == pytest.approx([3 / 5, 1 / 5, 0, 0, 0, 0, 0, 0, 0, 1 / 5])
    assert found.figures()["popular_share_at_3"] == pytest.approx(0.6)


def test_deciles_have_equally_many_items() -> None:
    counts = np.random.default_rng(1).integers(0, 5, 1_003)

    sizes = np.bincount(popularity_decile(counts), minlength=10)

    assert set(sizes.tolist()) <= {100, 101}
    decile = popularity_decile(counts)
    for higher, lower in zip(range(9), range(1, 10), strict=True):
        assert counts[decile == higher].min() >= counts[decile == lower].max()


def test_no_list_at_all() -> None:
    found = exposure(np.empty((0, 5), np.int32), np.array([1, 2]), 3)

    assert math.isnan(found.figures()["novelty_at_5"])
    assert math.isnan(found.figures()["popular_share_at_5"])
