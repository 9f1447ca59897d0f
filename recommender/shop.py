"""The shop: every rating of 300 customers for 300 products, whose ratings form a picture.

A matrix of 8-bit ratings is a picture; a model that has seen a few of its cells paints the rest.
`pattern` draws it, `draws` says in which order its cells are seen, `Painter` learns them by B-SGD
and paints what it predicts. Of the picture's structure nothing is known to the model: rows and
columns are ids like any.

The idea is from R. Vieira's talk on streaming ALS; the picture is our own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.rating_head import Codes
from recommender.rows import Floats

SIZE = 300
LOWEST, HIGHEST = 0.0, 255.0

Picture = npt.NDArray[np.uint8]


def pattern(size: int = SIZE) -> Picture:
    """The picture, ``(size, size)`` uint8: rings, a chessboard, stripes and a diagonal.

    Rows are customers, columns products. Its parts are of low rank each but for the rings, which
    take more factors the finer they are: one sees what a model of a given rank can hold.
    """
    place = (np.arange(size) + 0.5) / size
    down, across = np.meshgrid(place, place, indexing="ij")
    rings = 0.5 + 0.5 * np.cos(2 * np.pi * 4 * np.hypot(down - 0.5, across - 0.5))
    board = ((np.floor(down * 6) + np.floor(across * 6)) % 2).astype(float)
    stripes = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * across)
    inside = np.hypot(down - 0.5, across - 0.5) < 0.32
    mixed = np.where(inside, 0.25 + 0.7 * rings, 0.45 * board + 0.35 * stripes + 0.2 * down)
    picture: Picture = np.rint(255 * np.clip(mixed, 0, 1)).astype(np.uint8)
    return picture


def draws(picture: Picture, seed: int) -> tuple[Codes, Codes, Floats]:
    """All cells once, in random order: customers, products, ratings; ``(size²,)`` each."""
    rows, columns = picture.shape
    order = np.random.default_rng(seed).permutation(rows * columns)
    users, items = (order // columns).astype(np.int32), (order % columns).astype(np.int32)
    return users, items, picture[users, items].astype(np.float32)


def ids(prefix: str, count: int) -> pa.StringArray:
    """``c0``, ``c1``, ...: customers or products by their place in the picture."""
    return pa.array([f"{prefix}{number}" for number in range(count)])


def paint(predicted: Floats) -> Picture:
    """Predicted ratings as grey values."""
    picture: Picture = np.rint(np.clip(predicted, LOWEST, HIGHEST)).astype(np.uint8)
    return picture


def painted_rmse(painted: Picture, picture: Picture) -> float:
    """How far a painted picture is from the real one, in grey values of 255."""
    difference = painted.astype(np.float64) - picture
    return float(np.sqrt(np.square(difference).mean()))


class Painter:
    """B-SGD before the shop's ratings: learns some, paints all.

    Parameters
    ----------
    shape : (int, int)
        Customers and products.
    settings : ModelSettings
        Its scale is overridden by 0 to 255, and the ranking head is left out.
    """

    def __init__(self, shape: tuple[int, int], settings: ModelSettings) -> None:
        changed: dict[str, Any] = {
            "rating_min": LOWEST,
            "rating_max": HIGHEST,
            "ranking_rank": 0,
        }
        customers, products = ids("c", shape[0]), ids("p", shape[1])
        self._shape = shape
        self._model = MemoryModel(customers, products, settings.model_copy(update=changed))

    def learn(self, users: Codes, items: Codes, ratings: Floats) -> None:
        """Learn a micro-batch of ratings."""
        self._model.learn(users, items, ratings)

    def picture(self) -> Picture:
        """What it would predict for every customer and product."""
        rows, columns = self._shape
        users = np.repeat(np.arange(rows, dtype=np.int32), columns)
        items = np.tile(np.arange(columns, dtype=np.int32), rows)
        return paint(self._model.predict(users, items).reshape(rows, columns))
