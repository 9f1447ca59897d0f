"""Not asking a store that has just failed: a request must not pay for what another has learned."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE = 0.25
"""Seconds until a store that failed is tried again, by one request; the others go on without it."""


class Breaker:
    """Lets calls through while a store works, and one call for each pause while it does not.

    Parameters
    ----------
    pause : float
        Seconds.
    monotonic : callable
        A clock that never goes back, seconds.

    Examples
    --------
    >>> now = 0.0
    >>> breaker = Breaker(pause=1.0, monotonic=lambda: now)
    >>> breaker.failed()
    >>> breaker.allows()
    False
    >>> now = 1.0
    >>> breaker.allows(), breaker.allows()
    (True, False)
    >>> breaker.worked()
    >>> breaker.allows()
    True
    """

    def __init__(
        self, pause: float = PAUSE, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause = pause
        self._now = monotonic
        self._closed_until: float | None = None

    def allows(self) -> bool:
        """Whether this call may go to the store."""
        if self._closed_until is None:
            return True
        now = self._now()
        if now < self._closed_until:
            return False
        self._closed_until = now + self._pause
        return True

    def failed(self) -> None:
        """Say that a call failed."""
        self._closed_until = self._now() + self._pause

    def worked(self) -> None:
        """Say that a call succeeded."""
        self._closed_until = None
