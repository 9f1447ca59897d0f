"""New items get their places and no more."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.exploration import draw, explored_places


@given(n=st.integers(1, 500), share=st.floats(0, 0.5))
def test_the_share_is_a_bound_and_places_are_spread(n: int, share: float) -> None:
    places = explored_places(n, share)
    assert len(places) <= n * share + 1e-6
    assert len(places) == len(set(places))
    assert all(0 < place < n for place in places)
    if len(places) > 1:
        gaps = np.diff(places)
        assert gaps.max() - gaps.min() <= 1


def test_better_items_are_drawn_more_often_and_a_seed_repeats_a_draw() -> None:
    scores = np.array([0.0, 0.5, 1.0], np.float32)
    first = [int(draw(scores, 1, seed)[0]) for seed in range(2000)]
    # softmax of (0, 5, 10)
    shares = np.exp([0, 5, 10]) / np.exp([0, 5, 10]).sum()
    np.testing.assert_allclose(np.bincount(first, minlength=3) / 2000, shares, atol=0.01)
    assert draw(scores, 3, 7).tolist() == draw(scores, 3, 7).tolist()
    assert sorted(draw(scores, 9, 1).tolist()) == [0, 1, 2]
    assert draw(scores[:0], 2, 1).tolist() == []
