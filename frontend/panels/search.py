"""Find films and rate them: a dozen that tell much about a taste, then whatever is searched."""

from __future__ import annotations

import asyncio

from nicegui import background_tasks, ui
from nicegui.events import ValueChangeEventArguments

from frontend.answers import Item
from frontend.panels.film_row import FilmRow
from frontend.panels.panel import Panel
from frontend.visit import Visit
from recommender.errors import RecommenderError

FILMS = 12
REPRESENTATIVE = "A dozen well-known films, unlike each other"
# Between two keystrokes of an ordinary typist; a search per letter helps nobody.
PAUSE = 0.18  # seconds


class SearchPanel:
    """The panel in which films are found and rated."""

    def __init__(self, visit: Visit, scale: tuple[float, float]) -> None:
        self._visit = visit
        self._scale = scale
        self._text = ""
        self._problem = False
        self._shown: list[Item] | None = None
        self._rows: dict[str, FilmRow] = {}
        self._searching: asyncio.Task[None] | None = None
        self.panel = Panel("search", "Rate films", REPRESENTATIVE)
        with self.panel:
            field = (
                ui.input(placeholder="Search a title …", on_change=self._typed)
                .props("outlined dense clearable debounce=0")
                .classes("search-field")
                .mark("search")
            )
            field.props["aria-label"] = "Search films by title"
            field.props["type"] = "search"
            with field.add_slot("prepend"):
                ui.icon("search").props["aria-hidden"] = "true"
            field.move(self.panel, 2)
        self.panel.body.classes("scrolls")
        self.panel.body.props["tabindex"] = "-1"
        self.panel.skeleton(FILMS)
        visit.changed_ratings.connect(self.panel, self._show_ratings)
        visit.refused.connect(self.panel, self._refused)
        visit.feed.changed.connect(self.panel, self._on_feed)

    def load(self) -> asyncio.Task[None]:
        """Search for what stands in the field."""
        return self._search(0.0)

    def _typed(self, event: ValueChangeEventArguments[str | None]) -> None:
        self._text = (event.value or "").strip()[:200]
        self._search(PAUSE)

    def _search(self, pause: float) -> asyncio.Task[None]:
        if self._searching is not None:
            self._searching.cancel()
        task = background_tasks.create(self._find(self._text, pause), context=self.panel)
        assert isinstance(task, asyncio.Task)
        self._searching = task
        return task

    async def _find(self, text: str, pause: float) -> None:
        await asyncio.sleep(pause)
        try:
            api = self._visit.api
            answer = await (api.search(text, FILMS) if text else api.representative(FILMS))
        except RecommenderError as error:
            self._problem = True
            self.panel.say("Searching again as soon as the predictor answers.", "away")
            if self._shown is None:
                self.panel.message("cloud_off", str(error))
            return
        self._problem = False
        self._say(text, len(answer.items))
        if answer.items != self._shown:
            self._show(answer.items, text)

    def _say(self, text: str, found: int) -> None:
        if self._visit.outbox.problem is not None:
            n = len(self._visit.outbox.unsent)
            self.panel.say(
                f"Ingest is away: {n} rating{'s' * (n != 1)} kept here, sent when it is back.",
                "away",
            )
        elif text:
            self.panel.say(f"{found} film{'s' * (found != 1)} like “{text}”")
        else:
            self.panel.say(REPRESENTATIVE)

    def _show(self, films: list[Item], text: str) -> None:
        self._shown = films
        self._rows = {}
        if not films:
            reason = f"No film is called anything like “{text}”." if text else "No films yet."
            self.panel.message("search_off", reason)
            return
        self.panel.body.clear()
        with self.panel.body, ui.element("ul").classes("films"):
            for film in films:
                with ui.element("li"):
                    row = FilmRow(self._visit, film.item, film.title, self._scale)
                self._rows[film.item] = row

    def _show_ratings(self) -> None:
        for row in self._rows.values():
            row.show_rating()
        if self._shown is not None and not self._problem:
            self._say(self._text, len(self._shown))

    def _refused(self, item: str, why: str) -> None:
        ui.notify(why, type="warning", position="bottom")

    def _on_feed(self) -> None:
        # The first films of an empty catalogue, or the list that was asked for while it was away.
        idle = self._searching is None or self._searching.done()
        if self._visit.feed.problem is None and idle and (self._problem or not self._shown):
            self._search(0.0)
