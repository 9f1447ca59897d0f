"""What has become of each place of a list when a new one replaces it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """The difference of two rankings.

    Attributes
    ----------
    moved : dict
        Item → places gained (positive is up) for items that are in both at different places.
    new, gone : tuple of str
        Items only in the later and only in the earlier list, best first.
    """

    moved: dict[str, int]
    new: tuple[str, ...]
    gone: tuple[str, ...]


def change(before: Sequence[str], after: Sequence[str]) -> Change:
    """Compare two rankings of distinct items.

    Examples
    --------
    >>> change(["a", "b", "c"], ["b", "a", "d"])
    Change(moved={'b': 1, 'a': -1}, new=('d',), gone=('c',))
    """
    was = {item: place for place, item in enumerate(before)}
    now = {item: place for place, item in enumerate(after)}
    return Change(
        moved={
            item: was[item] - place
            for item, place in now.items()
            if item in was and was[item] != place
        },
        new=tuple(item for item in after if item not in was),
        gone=tuple(item for item in before if item not in now),
    )
