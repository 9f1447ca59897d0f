"""Animations, as GIF: each frame is a whole picture, the last one is shown longest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from modeler import plots

_MOST_FRAMES = 60  # of a curve: beyond, a GIF only grows
_FRAME, _LAST_FRAME = 120, 2_500  # milliseconds


def write(path: Path, frames: Iterable[npt.NDArray[np.uint8]]) -> None:
    """Write frames, ``(height, width)`` or ``(height, width, 3)`` uint8, as a looping GIF."""
    first, *others = [Image.fromarray(frame).convert("P") for frame in frames]
    durations = [_FRAME] * len(others) + [_LAST_FRAME]
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0)


def pixels(drawn: Figure) -> npt.NDArray[np.uint8]:
    """A picture as ``(height, width, 3)`` uint8."""
    canvas: Any = FigureCanvasAgg(drawn)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def curves(
    path: Path,
    ratings: Sequence[int],
    values: Mapping[str, Sequence[float]],
    lines: Mapping[str, Mapping[str, float]],
    figures: Mapping[str, str],
    title: str,
) -> None:
    """The figure of `plots.curves` as it grows; its axes stand still."""
    ends = np.unique(np.linspace(1, len(ratings), min(_MOST_FRAMES, len(ratings))).astype(int))
    limits = plots.limits(ratings, values, lines)

    def frames() -> Iterable[npt.NDArray[np.uint8]]:
        for end in ends.tolist():
            part: dict[str, Any] = {name: line[:end] for name, line in values.items()}
            yield pixels(plots.curves(ratings[:end], part, lines, figures, limits, title))

    write(path, frames())
