"""Pictures of ratings as PNG and GIF: grey values in the colours of the pages."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Values = npt.NDArray[np.uint8]

# From low to high, lightness rising steadily, so that the picture reads in grey as well.
_COLOURS = (
    (0.0, (24, 14, 64)),
    (0.25, (84, 44, 168)),
    (0.5, (196, 66, 142)),
    (0.75, (250, 141, 82)),
    (1.0, (255, 236, 158)),
)
_UNKNOWN = 0  # this colour number is kept for cells of which nothing is known
_CAPTION, _GAP = 34, 12  # pixels
_PAPER, _INK = (255, 255, 255), (29, 28, 34)
_FRAME, _LAST_FRAME = 160, 2_500  # milliseconds


def _palette() -> npt.NDArray[np.uint8]:
    """``(256, 3)``: the colours between those named."""
    places = [place for place, _ in _COLOURS]
    colours = np.array([colour for _, colour in _COLOURS], float)
    at = np.linspace(0, 1, 256)
    channels = [np.interp(at, places, colours[:, channel]) for channel in range(3)]
    found: npt.NDArray[np.uint8] = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    return found


_PALETTE = _palette()


def png(values: Values, known: npt.NDArray[np.bool_] | None = None) -> bytes:
    """A picture as PNG of 256 colours; cells not `known` are transparent."""
    numbers = np.maximum(values, 1)
    if known is not None:
        numbers = np.where(known, numbers, np.uint8(_UNKNOWN))
    picture = Image.fromarray(numbers)
    picture.putpalette(_PALETTE.tobytes())
    out = io.BytesIO()
    # A number of the palette that is seen through, rather than a fourth channel: a third the size.
    picture.save(out, "PNG", optimize=True, **({} if known is None else {"transparency": _UNKNOWN}))
    return out.getvalue()


def beside(pictures: Sequence[Values], captions: Sequence[str]) -> Image.Image:
    """Pictures of one size from left to right, each with its caption below."""
    height, width = pictures[0].shape
    whole = Image.new("RGB", (len(pictures) * (width + _GAP) - _GAP, height + _CAPTION), _PAPER)
    draw = ImageDraw.Draw(whole)
    font = ImageFont.load_default(15)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left = number * (width + _GAP)
        whole.paste(Image.fromarray(_PALETTE[picture]), (left, 0))
        draw.text((left + 2, height + 8), caption, fill=_INK, font=font)
    return whole


def as_png(picture: Image.Image) -> bytes:
    """A whole picture as PNG."""
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def as_gif(frames: Iterable[Image.Image]) -> bytes:
    """Pictures as a looping GIF; the last one is shown longest."""
    first, *others = [frame.quantize(128, dither=Image.Dither.NONE) for frame in frames]
    out = io.BytesIO()
    first.save(
        out,
        "GIF",
        save_all=True,
        append_images=others,
        duration=[_FRAME] * len(others) + [_LAST_FRAME],
        loop=0,
    )
    return out.getvalue()
