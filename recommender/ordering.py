"""Sorting by small whole numbers, which is most of the sorting here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def stable_order(codes: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    """What ``codes.argsort(kind="stable")`` gives, in a tenth of the time.

    Code and place are put into one integer. No two of these are equal, so that they can be sorted
    by numpy's fast sort (by the processor's vector instructions, where it has any), which is not
    stable.

    Parameters
    ----------
    codes : (length,) integers
        From 0 to 2³¹ − 1.

    Returns
    -------
    (length,) intp

    Examples
    --------
    >>> stable_order(np.array([2, 0, 2, 0])).tolist()
    [1, 3, 0, 2]
    """
    together = codes.astype(np.int64) << 32 | np.arange(len(codes))
    together.sort()
    return (together & 0xFFFFFFFF).astype(np.intp)
