"""Keeps programs running: one that dies is reported and started again, with growing pauses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from local.processes import Child, Children
from recommender.errors import MissingRequirement

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds, doubled from one to the other
# Seconds after which a program has proved itself, and its next death counts as the first again.
PROVED = 60.0


@dataclass(frozen=True)
class Death:
    """A program that ended though nobody asked it to.

    Parameters
    ----------
    name : str
    status : int
        Exit status; minus the signal's number if one ended it.
    log_end : str
        The last lines of its log.
    pause : float
        Seconds until it is started again.
    """

    name: str
    status: int
    log_end: str
    pause: float


class Supervisor:
    """Looks after children until it is told to stop.

    Parameters
    ----------
    children : Children
    report : callable
        Called, from another thread, with each `Death`.
    """

    def __init__(self, children: Children, report: Callable[[Death], None]) -> None:
        self._children = children
        self._report = report
        self._stopping = threading.Event()
        self._starting = threading.Lock()

    def look_after(
        self, child: Child, restart: Callable[[], Child], finished: Callable[[], None] | None = None
    ) -> None:
        """Restart a child whenever it ends, in a thread of its own.

        Parameters
        ----------
        child : Child
            Running now.
        restart : callable
            Starts it again.
        finished : callable, optional
            For a program that has an end: called when it ends with status 0, instead of a restart.
        """
        threading.Thread(
            target=self._keep, args=(child, restart, finished), name=child.program.name, daemon=True
        ).start()

    def release(self) -> None:
        """Restart nothing any more; what runs is left running."""
        with self._starting:
            self._stopping.set()

    def _keep(
        self, child: Child, restart: Callable[[], Child], finished: Callable[[], None] | None
    ) -> None:
        pause = FIRST_PAUSE
        while True:
            status = child.wait()
            if self._stopping.is_set():
                return
            self._children.forget(child)
            if finished is not None and status == 0:
                finished()
                return
            if time.monotonic() - child.started_at > PROVED:
                pause = FIRST_PAUSE
            self._report(Death(child.program.name, status, child.log_end(), pause))
            while True:
                if self._stopping.wait(pause):
                    return
                pause = min(2 * pause, LONGEST_PAUSE)
                with self._starting:
                    if self._stopping.is_set():
                        return
                    try:
                        child = restart()
                        break
                    except MissingRequirement as error:
                        self._report(Death(child.program.name, status, str(error), pause))
