"""The film: both methods see the same ratings, come near the picture, and say how near."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from recommender.shop import pattern
from recommender.shop_film import film, lengths


def test_steps_grow_and_end_with_everything() -> None:
    found = lengths(90_000)

    assert len(found) == 40
    assert found[-1] == 90_000
    assert np.all(np.diff(found, n=2) >= 0)
    assert lengths(4, 3) == [1, 1, 4]


def test_both_recover_the_picture_from_the_same_ratings() -> None:
    picture = pattern(120)
    steps = list(film(picture, seed=1, steps=6))

    for step in steps:
        assert step.seen.sum() == step.ratings
        for painted, rmse in ((step.als, step.als_rmse), (step.sgd, step.sgd_rmse)):
            wrong = painted.astype(float) - picture
            assert rmse == pytest.approx(np.sqrt(np.mean(wrong * wrong)))
    assert steps[-1].ratings == 120 * 120
    assert all((later.seen >= earlier.seen).all() for earlier, later in pairwise(steps))
    # a painter who knew the mean alone would be wrong by the picture's spread
    spread = float(picture.std())
    assert steps[-1].als_rmse < 0.25 * spread
    assert steps[-1].sgd_rmse < 0.5 * spread
    assert steps[0].sgd_rmse > steps[-1].sgd_rmse
