"""A panel whose content is fetched: loading, empty and away are said alike everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from nicegui import background_tasks

from frontend.panels.panel import Panel
from frontend.signal import lives
from frontend.visit import Visit
from recommender.errors import InvalidInput, RecommenderError

Answered = TypeVar("Answered")


class Fetched(Generic[Answered]):
    """Fetches an answer, draws it, and tries again by itself as soon as the predictor is back.

    Parameters
    ----------
    visit : Visit
    panel : Panel
        Where it is drawn.
    fetch : callable
        Asks the service.
    draw : callable
        Draws the answer into the panel.
    rows : int
        Grey rows while nothing is known.
    beside : sequence of Panel
        Panels that `draw` fills as well; they say as this one does when the answer fails.
    """

    def __init__(
        self,
        visit: Visit,
        panel: Panel,
        fetch: Callable[[], Awaitable[Answered]],
        draw: Callable[[Answered], None],
        *,
        rows: int = 5,
        beside: Sequence[Panel] = (),
    ) -> None:
        self._visit = visit
        self.panel = panel
        self._panels = (panel, *beside)
        self._fetch = fetch
        self._draw = draw
        self._shown = False
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None
        panel.skeleton(rows)
        visit.feed.changed.connect(panel, self._on_feed)

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self._fetching is None or self._fetching.done()

    def load(self) -> asyncio.Task[None]:
        """Fetch anew; an older request still under way is dropped."""
        if self._fetching is not None:
            self._fetching.cancel()
        task = background_tasks.create(self._load(), name="panel", context=self.panel)
        assert isinstance(task, asyncio.Task)
        self._fetching = task
        return task

    async def _load(self) -> None:
        try:
            answer = await self._fetch()
        except RecommenderError as error:
            if lives(self.panel):
                self._say_why(error)
            return
        if not lives(self.panel):
            return  # the visitor has gone on while it was fetched
        self._failed, self._shown = False, True
        self._draw(answer)

    def _say_why(self, error: RecommenderError) -> None:
        if isinstance(error, InvalidInput):
            self._failed = False  # asking again would not help
            self.panel.say("")
            self.panel.message("search_off", error.allowed or str(error))
            return
        self._failed = True
        for panel in self._panels:
            panel.say("The predictor is away; trying again by itself.", "away")
            if not self._shown:
                panel.message("cloud_off", str(error))

    def _on_feed(self) -> None:
        if self._failed and self.idle and self._visit.feed.problem is None:
            self.load()
