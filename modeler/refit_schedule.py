"""Starts refits by itself, as child processes: every so many hours, and when asked to."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import structlog

from modeler.keeper_settings import KeeperSettings
from recommender.clock import SYSTEM_CLOCK, Clock
from storage.models import Registry

log = structlog.get_logger(__name__)

# Of the processor the learning comes first (nice).
_NICENESS = "15"
_END_PATIENCE = 5.0


class RefitSchedule:
    """When a refit is due, and the one that is going on.

    Parameters
    ----------
    settings : KeeperSettings
    clock : Clock
    command : list of str
        What runs a refit; takes ``--reason`` and ``--niceness``.
    """

    def __init__(
        self,
        settings: KeeperSettings,
        clock: Clock = SYSTEM_CLOCK,
        command: list[str] | None = None,
    ) -> None:
        self._every = timedelta(hours=settings.refit_every)
        self._clock = clock
        self._command = command or [sys.executable, "-m", "modeler", "refit", "--json"]
        self._requested = ""
        self._child: subprocess.Popen[bytes] | None = None
        self._failed_at: float | None = None

    @property
    def running(self) -> bool:
        """Whether a refit is going on."""
        return self._child is not None

    def request(self, reason: str) -> None:
        """Have a refit started at the next look."""
        self._requested = reason

    def look(self, registry: Registry) -> None:
        """Notice the end of a refit; start one where it is due."""
        if self._child is not None:
            if (code := self._child.poll()) is None:
                return
            self._child = None
            if code:
                self._failed_at = self._clock.now()
                log.warning("refit failed", exit_code=code)
        reason = self._requested or self._due(registry)
        if not reason:
            return
        self._requested = ""
        log.info("refit", reason=reason)
        self._child = subprocess.Popen(
            [*self._command, "--reason", reason, "--niceness", _NICENESS],
            stdout=subprocess.DEVNULL,
            env=dict(os.environ),
        )

    def close(self) -> None:
        """End a refit that is going on; it leaves nothing that counts."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(_END_PATIENCE)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()

    def _due(self, registry: Registry) -> str:
        if not self._every:
            return ""
        models = registry.models()
        if not models or (not models[0].ratings and len(models) == 1):
            return ""  # nothing to train from yet
        trained = [one.created_at.timestamp() for one in models if one.trained_to]
        last = max(trained or [models[-1].created_at.timestamp()])
        # One that failed is not tried again at once: the reason is likely to be the same.
        last = max(last, self._failed_at or last)
        due = self._clock.now() - last >= self._every.total_seconds()
        return f"due every {self._every.total_seconds() / 3600:g} h" if due else ""
