"""The shop: the picture has structure, each cell is drawn once, and learning brings it back."""

from __future__ import annotations

import numpy as np
import pytest

from recommender.model_settings import ModelSettings
from recommender.shop import Painter, draws, paint, painted_rmse, pattern


def test_the_picture_is_of_low_rank_in_the_main_but_no_flat_one() -> None:
    picture = pattern()

    assert picture.shape == (300, 300)
    assert picture.dtype == np.uint8
    assert picture.min() < 30
    assert picture.max() > 220
    spectrum = np.linalg.svd(picture - picture.mean(), compute_uv=False) ** 2
    assert spectrum[:20].sum() > 0.9 * spectrum.sum()  # noise would need 200
    assert spectrum[:2].sum() < 0.8 * spectrum.sum()


def test_each_cell_is_drawn_once_with_its_own_value() -> None:
    picture = pattern(20)

    users, items, ratings = draws(picture, seed=3)

    assert len(set(zip(users.tolist(), items.tolist(), strict=True))) == 400
    assert (picture[users, items] == ratings).all()
    assert users[:50].tolist() != draws(picture, seed=4)[0][:50].tolist()


def test_painting_and_its_error_by_hand() -> None:
    assert paint(np.array([[-4.0, 12.4], [12.6, 300.0]])).tolist() == [[0, 12], [13, 255]]
    # 0 and 255 differ by 255, not by 1 as uint8 would have it.
    one, other = np.array([[0, 10]], np.uint8), np.array([[255, 10]], np.uint8)
    assert painted_rmse(one, other) == pytest.approx(255 / np.sqrt(2))


def test_the_picture_comes_back_as_ratings_come_in() -> None:
    picture = pattern(120)
    users, items, ratings = draws(picture, seed=1)
    painter = Painter(picture.shape, ModelSettings(rank=16, regularization=0.01, decay=0.3))
    errors = []
    for start in range(0, len(ratings), 3_600):
        rows = slice(start, start + 3_600)
        painter.learn(users[rows], items[rows], ratings[rows])
        errors.append(painted_rmse(painter.picture(), picture))

    spread = float(picture.std())
    assert errors[-1] < 0.5 * spread
    assert errors[-1] < errors[0]
