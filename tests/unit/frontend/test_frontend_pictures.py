"""Pictures: the browser's own reading of them gives back the values and the film's length."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from frontend.pictures import as_gif, beside, png


def test_a_png_keeps_the_order_of_values_and_leaves_out_what_is_not_known() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    known = values != 7

    picture = np.asarray(Image.open(io.BytesIO(png(values, known))).convert("RGBA"), float)

    assert picture[0, 7, 3] == 0
    assert (np.delete(picture[..., 3].ravel(), 7) == 255).all()
    # lightness as the eye weighs the colours (Rec. 601) never falls
    light = picture[..., :3].reshape(-1, 3) @ (0.299, 0.587, 0.114)
    assert (np.diff(np.delete(light, 7)) >= -1).all()
    assert light[-1] - light[0] > 180


def test_side_by_side_has_every_picture_in_its_place() -> None:
    dark, bright = np.zeros((300, 300), np.uint8), np.full((300, 300), 255, np.uint8)

    whole = np.asarray(beside([dark, bright], ["dark", "bright"]), int)

    assert whole.shape == (334, 612, 3)
    assert (whole[:300, :300].sum(axis=2) < 150).all()
    assert (whole[:300, 300:312] == 255).all()
    assert (whole[:300, 312:].sum(axis=2) > 600).all()
    assert (whole[300:] < 128).any()  # the captions


def test_a_gif_has_every_frame_and_loops() -> None:
    frames = [beside([np.full((50, 50), value, np.uint8)], [f"{value}"]) for value in (0, 100, 255)]

    film = Image.open(io.BytesIO(as_gif(frames)))

    assert film.n_frames == 3
    assert film.info["loop"] == 0
