"""One reading of the model for all open pages: what the predictor says, or that it is away."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

import structlog

from frontend.answers import Model
from frontend.api import Api
from frontend.series import ratings_per_second
from frontend.signal import Signal
from recommender.clock import SYSTEM_CLOCK, Clock
from recommender.errors import RecommenderError

log = structlog.get_logger(__name__)


# Long enough to be steady, short enough to be now.
RATE_SECONDS = 10.0


class ModelFeed:
    """Reads `/model` while a page is open, and tells the pages.

    The predictor offers no push; one reading serves every visitor, so its cost does not grow with
    them, and nobody is asked while nobody looks.

    Attributes
    ----------
    model : Model or None
        The latest answer; kept while the predictor is away.
    problem : str or None
        Why there is no newer answer.
    changed : Signal
        Emitted after each reading.
    """

    def __init__(self, api: Api, seconds: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._readings: deque[tuple[float, int]] = deque()
        self._api = api
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None
        self.model: Model | None = None
        self.problem: str | None = None
        self.changed: Signal[[]] = Signal()

    def watch(self) -> None:
        """Make sure that readings go on; called by each page that opens."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="model feed")

    async def stop(self) -> None:
        """End the readings."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def rate(self) -> float:
        """Ratings learned per second, over the last `RATE_SECONDS`."""
        return ratings_per_second(self._readings)

    async def read(self) -> None:
        """Read once and tell the pages."""
        before = self.problem
        try:
            self.model = await self._api.model()
            self.problem = None
            now = self._clock.now()
            while self._readings and self._readings[0][0] < now - RATE_SECONDS:
                self._readings.popleft()
            self._readings.append((now, self.model.counts.ratings))
        except RecommenderError as error:
            self.problem = str(error)
        if (before is None) != (self.problem is None):
            log.info("predictor", state="away" if self.problem else "back", reason=self.problem)
        self.changed.emit()

    async def _run(self) -> None:
        while True:
            try:
                await self.read()
            except Exception:  # one panel's mistake must not end the readings of all the others
                log.exception("model feed")
            if not len(self.changed):
                return
            await asyncio.sleep(self._seconds)
