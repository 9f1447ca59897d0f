"""Lists whose items differ: maximal marginal relevance (MMR).

Carbonell and Goldstein (1998), "The use of MMR, diversity-based reranking for reordering documents
and producing summaries". The next item is the one with the highest

    (1 - d) · relevance - d · likeness to the most alike item already chosen

relevance from 0 to 1 among the candidates, likeness the cosine of the items' vectors.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recommender.rows import Floats

Places = npt.NDArray[np.intp]


def normalized(vectors: Floats) -> Floats:
    """Rows of length 1; rows of zeros stay zeros.

    Examples
    --------
    >>> normalized(np.array([[3, 4], [0, 0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    lengths = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
    divided: Floats = vectors / np.maximum(lengths, np.float32(1e-12))
    return divided


def maximal_marginal_relevance(
    relevance: Floats, vectors: Floats, n: int, diversity: float
) -> Places:
    """Choose items that are relevant and unlike each other.

    Parameters
    ----------
    relevance : (m,) float32
        Scores of the candidates, of any scale.
    vectors : (m, k) float32
        What likeness is taken from.
    n : int
        Items wanted; fewer where there are not as many candidates.
    diversity : float
        d, from 0 (by relevance alone) to 1 (the first by relevance, the others by unlikeness).

    Returns
    -------
    (n,) intp
        Places among the candidates, in the order of choice.
    """
    n = min(n, len(relevance))
    if n == 0:
        return np.empty(0, np.intp)
    low, high = float(relevance.min()), float(relevance.max())
    worth = (relevance - low) / (high - low) if high > low else np.ones(len(relevance))
    units = normalized(vectors)
    first = int(worth.argmax())
    chosen = [first]
    left = (1 - diversity) * worth.astype(np.float64)
    nearest = units @ units[first]
    left[first] = -np.inf
    while len(chosen) < n:
        following = int((left - diversity * nearest).argmax())
        chosen.append(following)
        left[following] = -np.inf
        np.maximum(nearest, units @ units[following], out=nearest)
    return np.array(chosen, np.intp)
