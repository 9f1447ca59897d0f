"""What the visitor has rated, latest first; each can be rated anew in place."""

from __future__ import annotations

from frontend.elements.moving_list import MovingList
from frontend.panels.film_row import FilmRow
from frontend.panels.panel import Panel
from frontend.visit import Visit

# More rows cost every rating some time in the browser, and nobody scrolls through a thousand.
SHOWN = 60


class RatingsPanel:
    """The panel of the visitor's own ratings."""

    def __init__(self, visit: Visit, scale: tuple[float, float]) -> None:
        self._visit = visit
        self._scale = scale
        self._rows: dict[str, FilmRow] = {}
        self._list: MovingList | None = None
        self.panel = Panel("ratings", "Your ratings", "Loading …")
        self.panel.body.classes("scrolls")
        self.panel.skeleton(3)
        visit.changed_ratings.connect(self.panel, self._show)

    def _show(self) -> None:
        visit = self._visit
        ratings = dict(list(visit.ratings.items())[:SHOWN])
        self._say()
        if not ratings:
            self._list, self._rows = None, {}
            if visit.ratings_problem is not None:
                self.panel.message("cloud_off", visit.ratings_problem)
            elif visit.ratings_loaded:
                self.panel.message("star_outline", "Nothing yet. The stars you give appear here.")
            else:
                self.panel.skeleton(3)
            return
        if self._list is None:
            self.panel.body.clear()
            with self.panel.body:
                self._list = MovingList()
                self._list.props["aria-label"] = "Films you have rated, latest first"
        self._rows = {item: row for item, row in self._rows.items() if item in ratings}
        self._list.arrange(list(ratings), lambda item: self._build(item, ratings[item].title))
        for row in self._rows.values():
            row.show_rating()

    def _build(self, item: str, title: str | None) -> None:
        self._rows[item] = FilmRow(self._visit, item, title, self._scale, undo=True)

    def _say(self) -> None:
        n = len(self._visit.ratings)
        if self._visit.ratings_problem is not None:
            self.panel.say("The predictor is away; trying again by itself.", "away")
        elif n > SHOWN:
            self.panel.say(f"{n:,} films, the latest {SHOWN} here")
        elif n:
            self.panel.say(f"{n} film{'s' * (n != 1)}, latest first")
        else:
            self.panel.say("" if self._visit.ratings_loaded else "Loading …")
