"""Vectors of attributes, and rows predicted from them."""

from __future__ import annotations

import numpy as np
import pytest

from recommender.content import (
    COLD_RATINGS,
    AttributeSpace,
    Described,
    RowsFromAttributes,
    blended,
    targets,
)
from recommender.rows import RowFormat, Rows

FILMS = Described(
    [["Drama"], ["Drama", "War"], ["Drama"], ["War"], []], [1950, 1951, 2000, 1950, None]
)


def test_alike_are_those_of_one_genre_and_near_years() -> None:
    vectors = AttributeSpace(FILMS).vectors(FILMS)
    likeness = vectors @ vectors.T
    assert np.allclose(np.diag(likeness)[:4], 1)
    assert likeness[0, 2] < likeness[0, 1] or likeness[0, 1] > likeness[0, 3]
    assert likeness[3, 1] > likeness[0, 1]  # the rarer genre says more
    assert likeness[0, 3] > 0  # the same year, if nothing else
    assert not vectors[4].any()


def test_what_the_vocabulary_does_not_know_counts_for_nothing() -> None:
    space = AttributeSpace(FILMS)
    (vector,) = space.vectors(Described([["Unheard"]], [None]))
    assert not vector.any()
    (early,) = space.vectors(Described([[]], [1900]))  # as the first known year
    (first,) = space.vectors(Described([[]], [1950]))
    assert np.array_equal(early, first)
    assert AttributeSpace(Described([], [])).vectors(FILMS).shape == (5, 0)


def test_rows_are_predicted_where_attributes_tell_them() -> None:
    random = np.random.default_rng(1)
    genres = [["A"], ["B"], ["A", "B"]] * 200
    films = Described(genres, [None] * 600)
    vectors = AttributeSpace(films).vectors(films)
    truth = vectors @ np.array([[1.0, -2.0], [0.5, 3.0]], np.float32) + 0.25
    noisy = (truth + random.normal(0, 0.1, truth.shape)).astype(np.float32)
    found = RowsFromAttributes.fit(vectors, noisy, np.full(600, 100, np.int32)).predict(vectors)
    np.testing.assert_allclose(found, truth, atol=0.2)  # ridge holds it back a little


def test_few_ratings_draw_a_row_to_what_its_attributes_say() -> None:
    rows = Rows.empty(4, RowFormat(rank=2, ranking_rank=1))
    rows.n[:] = [0, 1, 4, COLD_RATINGS]
    rows.bias[:], rows.factors[:], rows.ranking[:] = 1.0, 2.0, 4.0
    said = np.zeros_like(targets(rows))
    found = blended(rows, said)
    # of 0 by attributes and the row's own: n / (n + 1), n / (n + 2), n / (n + 1)
    assert found.bias.tolist() == pytest.approx([0, 1 / 2, 4 / 5, 1])
    assert found.factors[:, 1].tolist() == pytest.approx([0, 2 / 3, 2 * 4 / 6, 2])
    assert found.ranking[:, 0].tolist() == pytest.approx([0, 4 / 2, 4 * 4 / 5, 4])
    assert found.n is rows.n
