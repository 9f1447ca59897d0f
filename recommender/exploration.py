"""Exploration: a bounded share of a list's places goes to items that have few ratings yet.

Without it an item that nobody has rated is never shown, so never rated. Which of the new items are
shown is drawn with chances that grow with their scores (Gumbel's trick: the highest of score/t plus
Gumbel noise is a draw from the softmax), and from a seed, so that asking twice shows the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recommender.rows import Floats

Places = npt.NDArray[np.intp]

NEW_RATINGS = 5
"""Ratings from which on an item is no longer new."""

TEMPERATURE = 0.1
"""t, in parts of the new items' range of scores: the best tenth shares most of the places."""


def explored_places(n: int, share: float) -> list[int]:
    """Places of a list of `n` that are given to new items, spread evenly, the first not among them.

    Examples
    --------
    >>> explored_places(10, 0.2), explored_places(10, 0.05), explored_places(4, 0.5)
    ([4, 9], [], [1, 3])
    """
    count = int(n * share + 1e-9)
    return [int((place + 1) * n / count) - 1 for place in range(count)]


def draw(scores: Floats, n: int, seed: int) -> Places:
    """Draw items without replacement, the better ones more often.

    Parameters
    ----------
    scores : (m,) float32
        Of the new items.
    n : int
        Items wanted; fewer where there are not as many.
    seed : int

    Returns
    -------
    (n,) intp
        Places among the given items.
    """
    span = float(np.ptp(scores)) if len(scores) else 0.0
    chances = scores / (TEMPERATURE * span) if span else np.zeros(len(scores))
    noise = np.random.default_rng(seed).gumbel(size=len(scores))
    drawn: Places = np.argsort(-(chances + noise), kind="stable")[:n]
    return drawn
