"""What the modeler does with models by itself, beside the learning: a thread, round after round.

A duty that fails is tried again in the next round; learning never waits for any of them. Everything
that a duty must remember is in Postgres, so that a new modeler goes on where the last one ended.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from modeler.drift_watch import DriftWatch
from modeler.race_keeping import RaceKeeping
from modeler.refit_schedule import RefitSchedule
from modeler.settings import ModelerSettings
from modeler.steps import Change, reached
from recommender.errors import RecommenderError, Refused, UnknownModel
from storage.models import Registry
from storage.settings import PublishSettings

log = structlog.get_logger(__name__)


class Duty(Protocol):
    """Something that is looked after."""

    def look(self, registry: Registry) -> None:
        """Look once, and do what is to be done."""
        ...

    def close(self) -> None:
        """Stop what is still going on."""
        ...


class Keeper:
    """The thread; it starts at once.

    Parameters
    ----------
    settings : ModelerSettings
    duties : sequence of Duty, optional
        All there are, unless given.
    """

    def __init__(self, settings: ModelerSettings, duties: Sequence[Duty] | None = None) -> None:
        self._settings = settings
        refits = RefitSchedule(settings)
        self._duties = duties or [
            Housekeeping(),
            Publishing(settings, settings.promote_refits),
            DriftWatch(settings, on_drift=refits.request if settings.refit_on_drift else None),
            RaceKeeping(settings, settings),
            refits,
        ]
        self._registry: Registry | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """Stop after what is being done."""
        self._stopping.set()
        self._thread.join(timeout)
        for duty in self._duties:
            duty.close()

    def _run(self) -> None:
        while not self._stopping.wait(self._settings.keeper_seconds):
            for duty in self._duties:
                self._do(duty)
        self._disconnect()

    def _do(self, duty: Duty) -> None:
        if self._stopping.is_set():
            return
        try:
            if self._registry is None:
                self._registry = Registry(self._settings)
            duty.look(self._registry)
        except RecommenderError as error:
            log.warning("left for later", duty=type(duty).__name__.lower(), reason=str(error))
            self._disconnect()
        except Exception:  # of a thread nobody would hear
            log.exception("left for later", duty=type(duty).__name__.lower())
            self._disconnect()

    def _disconnect(self) -> None:
        if self._registry is not None:
            with suppress(Exception):
                self._registry.close()
            self._registry = None


class Housekeeping:
    """Clears away what trainers that died and models that were retired have left."""

    def look(self, registry: Registry) -> None:
        """Do so."""
        for model in registry.retire_abandoned():
            log.info("abandoned training cleared away", model=model)
        for model in registry.sweep(written=lambda: reached(Change.SWEEPING)):
            log.info("rows dropped", model=model)

    def close(self) -> None:
        """Nothing goes on."""


class Publishing:
    """Asks the gate about refits, tells of verdicts, and promotes where that is switched on.

    Parameters
    ----------
    settings : PublishSettings
    promote : bool
    """

    def __init__(self, settings: PublishSettings, promote: bool) -> None:
        self._settings = settings
        self._promote = promote
        self._told: dict[int, str] = {}

    def look(self, registry: Registry) -> None:
        """Look at each candidate that was trained later than the serving model."""
        serving = registry.serving()
        if serving is None:
            return
        for judged in registry.judged(self._settings):
            version, verdict = judged.version, judged.verdict
            # Not those that served before, for a rollback, nor copies that race.
            if verdict is None or not version.trained_to or version.served_at is not None:
                continue
            if self._told.get(version.model) != verdict.state:
                self._told[version.model] = verdict.state
                log.info(
                    "publish gate",
                    model=version.model,
                    state=verdict.state,
                    reason=verdict.reason,
                )
                if verdict.state == "failed":
                    reason = f"did not pass the gate: {verdict.reason}"
                    registry.explain(version.model, reason)
            if self._promote and verdict.state == "passed" and version.model > serving.model:
                with suppress(Refused, UnknownModel):  # it has changed in this moment
                    registry.promote(version.model, self._settings)
                    log.info("promoted", model=version.model, reason=verdict.reason)
                return

    def close(self) -> None:
        """Nothing goes on."""
