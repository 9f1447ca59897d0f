"""Watches the serving model's losses on the live stream for drift (`recommender.drift`)."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from prometheus_client import Counter

from modeler.keeper_settings import KeeperSettings
from recommender.drift import DriftTest
from storage.models import Registry, Version
from storage.prequential import Measured, in_stretches, last_drift, measured, note_drift

log = structlog.get_logger(__name__)

_DRIFTS = Counter(
    "modeler_drifts_total", "Times that the serving model's loss left its usual band."
)
# Micro-batches that are read at once, and that a new watcher begins with: enough to know what is
# usual again after a restart.
_AT_ONCE = 10_000


class DriftWatch:
    """The test on the serving model, stretch by stretch; it begins anew with each model.

    Parameters
    ----------
    settings : KeeperSettings
    on_drift : callable, optional
        Called with a reason when something was noticed.
    """

    def __init__(
        self, settings: KeeperSettings, on_drift: Callable[[str], object] | None = None
    ) -> None:
        self._settings = settings
        self._on_drift = on_drift
        self._model: int | None = None
        self._test = DriftTest(settings)
        self._after = 0

    def look(self, registry: Registry) -> None:
        """Take in what has been learned since the last look."""
        serving = registry.serving()
        if serving is None:
            return
        if serving.model != self._model:
            self._begin(registry, serving)
        while True:
            with registry.reading() as cur:
                found = measured(cur, [serving.model], self._after, _AT_ONCE)
            stretches = in_stretches(found, self._settings.keeper_stretch)
            for one in stretches:
                self._after = one.batch
                self._observe(registry, serving.model, one)
            if len(found) < _AT_ONCE or not stretches:
                return

    def close(self) -> None:
        """Nothing goes on."""

    def _begin(self, registry: Registry, serving: Version) -> None:
        with registry.reading() as cur:
            noticed = last_drift(cur, serving.model)
        self._model = serving.model
        self._test = DriftTest(self._settings)
        # After a drift everything begins anew; so it does after a restart.
        self._after = max(noticed or 0, serving.joined, serving.batch - _AT_ONCE)

    def _observe(self, registry: Registry, model: int, stretch: Measured) -> None:
        batch = stretch.batch
        drift = self._test.observe(stretch.squared[model] / stretch.ratings)
        if drift is None:
            return
        with registry.reading() as cur:
            note_drift(cur, model, batch, drift)
        _DRIFTS.inc()
        reason = (
            f"drift at micro-batch {batch}: mean squared error {drift.loss:.4f}, "
            f"usually {drift.usual:.4f} ± {drift.deviation:.4f}"
        )
        log.warning("drift", model=model, batch=batch, reason=reason)
        if self._on_drift is not None:
            self._on_drift(reason)
