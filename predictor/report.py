"""What the serving model says about itself: measurements and counts, read from Postgres."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import structlog

from predictor.served import Served
from recommender.errors import Unavailable
from storage.reading import Measurement, NoticedDrift, Snapshot, TruthReader

log = structlog.get_logger(__name__)

SHARE = 20
"""Reading takes at most one part in so many of the time, however large the tables have become."""

LEAST_AGE = 0.2
"""Seconds for which a report holds at least: a chart does not need more."""


@dataclass(frozen=True)
class Report:
    """Counts and measurements of a model.

    Parameters
    ----------
    users : int
        Users with a row.
    series : list of Measurement
        Prequential error, oldest first.
    drift : NoticedDrift or None
        The last one noticed.
    """

    users: int = 0
    series: list[Measurement] = field(default_factory=list)
    drift: NoticedDrift | None = None


class Reporter:
    """Reads reports and keeps the last one of each kind asked for.

    Parameters
    ----------
    truth : TruthReader
    """

    def __init__(self, truth: TruthReader) -> None:
        self._truth = truth
        self._reading = asyncio.Lock()
        self._kept: dict[int, tuple[int, Report]] = {}  # points to model and report
        self._due: dict[int, float] = {}

    async def report(self, served: Served, points: int) -> tuple[Report, bool]:
        """The report of the serving model, and whether Postgres could not be asked for it.

        Parameters
        ----------
        served : Served
        points : int
            Longest series wanted.
        """
        if served.record is None:
            return Report(), False
        model = served.record.model
        async with self._reading:  # one reading serves all who wait for it
            if (found := self._fresh(model, points)) is not None:
                return found, False
            begin = time.monotonic()

            def read(snapshot: Snapshot) -> Report:
                return Report(
                    snapshot.count_users(model),
                    snapshot.measurements(model, points),
                    snapshot.last_drift(model),
                )

            try:
                report = await asyncio.to_thread(self._truth.read, read)
            except Unavailable as error:
                log.warning("reporting without Postgres", reason=str(error))
                kept_model, kept = self._kept.get(points, (model, Report()))
                return (kept if kept_model == model else Report()), True
            now = time.monotonic()
            self._kept[points] = (model, report)
            self._due[points] = now + max(LEAST_AGE, SHARE * (now - begin))
            return report, False

    def _fresh(self, model: int, points: int) -> Report | None:
        kept_model, report = self._kept.get(points, (None, None))
        if kept_model == model and time.monotonic() < self._due.get(points, 0.0):
            return report
        return None
