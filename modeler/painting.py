"""The shop's film: batch ALS, then B-SGD, recovering a picture from its ratings."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from modeler import films
from modeler.model_options import model_settings
from modeler.showing import bar
from recommender import shop
from recommender.datasets import IndexedRatings
from recommender.shop import LOWEST, Painter, Picture, painted_rmse

FRAMES = 30
"""Of the film: B-SGD's ratings are painted so many times, ALS after as many different shares."""

_ALS_FRAMES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)  # shares of the ratings: each is a training
_ALS_RANK, _ALS_ITERATIONS, _ALS_LAMBDA = 20, 10, 0.01
_GAP = 12  # white pixels between pictures
# The picture is without noise: steps that would chase noise in ratings of films are right here.
_STEPS = {"rank": 32, "regularization": 0.01, "decay": 0.3}


def painted(
    output: Path, given: dict[str, Any], micro_batch: int, seed: int, animation: bool
) -> dict[str, Any]:
    """Paint the shop; writes ``shop.png``, ``shop.csv`` and ``shop.gif``.

    Parameters
    ----------
    output : Path
    given : dict
        Settings of the model that were given.
    micro_batch : int
        Ratings that B-SGD learns at a time.
    seed : int
        Of the order in which ratings come.
    animation : bool
        Whether to write the GIF.
    """
    from modeler.als import train_als
    from modeler.batch import session

    picture = shop.pattern()
    users, items, ratings = shop.draws(picture, seed)
    settings = model_settings({**_STEPS, **given}, (LOWEST, shop.HIGHEST))
    painter = Painter(picture.shape, settings)
    total = len(ratings)
    batches = range(0, total, micro_batch)
    shown = set(np.linspace(0, len(batches) - 1, FRAMES).astype(int).tolist())
    streamed: list[tuple[int, Picture]] = []
    with bar("B-SGD") as progress:
        for number, start in enumerate(batches):
            rows = slice(start, start + micro_batch)
            painter.learn(users[rows], items[rows], ratings[rows])
            done = min(start + micro_batch, total)
            if number in shown:
                streamed.append((done, painter.picture()))
            progress(done / total, "")

    alternating: list[tuple[int, Picture]] = []
    customers, products = shop.ids("c", len(picture)), shop.ids("p", picture.shape[1])
    everyone = np.repeat(np.arange(len(picture), dtype=np.int32), picture.shape[1])
    everything = np.tile(np.arange(picture.shape[1], dtype=np.int32), len(picture))
    with bar("ALS") as progress:
        for number, share in enumerate(_ALS_FRAMES, start=1):
            rows = slice(0, int(share * total))
            train = IndexedRatings(
                users[rows],
                items[rows],
                ratings[rows],
                np.arange(rows.stop, dtype=np.float64),
                customers,
                products,
            )
            model = train_als(
                session(), train, _ALS_RANK, _ALS_ITERATIONS, _ALS_LAMBDA, None, settings.seed
            )
            found = model.predict(everyone, everything).reshape(picture.shape)
            alternating.append((rows.stop, shop.paint(found)))
            progress(number / len(_ALS_FRAMES), "")

    errors = {
        "als": [(done, painted_rmse(one, picture)) for done, one in alternating],
        "b-sgd": [(done, painted_rmse(one, picture)) for done, one in streamed],
    }
    with (output / "shop.csv").open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["method", "ratings", "rmse"])
        writer.writerows((method, *row) for method, rows_ in errors.items() for row in rows_)
    Image.fromarray(_beside(picture, alternating[-1][1], streamed[-1][1])).save(output / "shop.png")
    if animation:
        films.write(
            output / "shop.gif",
            [_beside(picture, _latest(alternating, done), one) for done, one in streamed],
        )
    return {
        "customers": picture.shape[0],
        "products": picture.shape[1],
        "ratings": total,
        "rmse_als": errors["als"][-1][1],
        "rmse_b_sgd": errors["b-sgd"][-1][1],
        "written_to": str(output),
    }


def _latest(frames: list[tuple[int, Picture]], done: int) -> Picture:
    """The batch model as of then: trained on no more ratings than have come; grey before any."""
    before = [one for ratings, one in frames if ratings <= done]
    return before[-1] if before else np.full_like(frames[0][1], 127)


def _beside(*pictures: Picture) -> npt.NDArray[np.uint8]:
    """Pictures from left to right: the truth, ALS, B-SGD."""
    gap = np.full((len(pictures[0]), _GAP), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=1)
