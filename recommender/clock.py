"""The one clock. Tests set it; everything else only asks it."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Wall-clock time in seconds since the epoch, from one replaceable source.

    Examples
    --------
    >>> Clock(lambda: 12.5).now()
    12.5
    """

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return self._source()


SYSTEM_CLOCK = Clock()
