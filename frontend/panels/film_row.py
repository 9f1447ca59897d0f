"""One film in a list: its title, what the model expects, and stars to rate it in place."""

from __future__ import annotations

from nicegui import ui

from frontend.elements.stars import Stars
from frontend.titles import film_page, readable
from frontend.visit import Visit


class FilmRow(ui.element):
    """A row; `place` and `badge` are for ranked lists.

    Parameters
    ----------
    visit : Visit
        Takes the rating.
    item, title
        The film; the title is data and shown as text only.
    scale : tuple of float
        Lowest and highest rating.
    ranked : bool
        Whether the row has a place number, a badge, an expected rating and a button that asks why.
    undo : bool
        Whether the rating can be taken back.
    """

    def __init__(
        self,
        visit: Visit,
        item: str,
        title: str | None,
        scale: tuple[float, float],
        *,
        ranked: bool = False,
        undo: bool = False,
    ) -> None:
        super().__init__("div")
        self._visit = visit
        self._item = item
        self._title = title
        name = readable(title, item)
        self.classes("film ranked" if ranked else "film")
        with self:
            if ranked:
                self.place = ui.label().classes("film-place")
            with ui.element("div").classes("film-text"):
                text = ui.link(name.name, film_page(item)).classes("film-name")
                text.props["title"] = name.spoken
                with ui.element("div").classes("film-more"):
                    ui.label(name.year).classes("film-year")
                    if ranked:
                        self.badge = ui.label().classes("film-badge")
                        self.reason = ui.label().classes("film-reason")
            if ranked:
                self.expected = ui.label().classes("film-expected")
            self.stars = Stars(
                f"Rate {name.spoken}",
                lowest=scale[0],
                highest=scale[1],
                on_rate=self._rate,
            ).mark(f"stars-{item}")
            if ranked:
                self.why = ui.button(icon="expand_more", color=None).props("flat round dense")
                self.why.classes("btn-round film-why").mark(f"why-{item}")
                self.why.props["aria-label"] = f"Why {name.spoken}?"
                self.why.props["aria-expanded"] = "false"
            if undo:
                take_back = ui.button(icon="close", color=None, on_click=self._undo)
                take_back.props("flat round dense").classes("btn-round").mark(f"undo-{item}")
                take_back.props["aria-label"] = f"Take back your rating of {name.spoken}"
                take_back.props["title"] = "Take it back"
        self.show_rating()

    def show_rating(self) -> None:
        """Show the visitor's rating as it stands now."""
        rated = self._visit.ratings.get(self._item)
        self.stars.value = rated.rating if rated else None

    def _rate(self, rating: float) -> None:
        self._visit.rate(self._item, self._title, rating)

    def _undo(self) -> None:
        self._visit.undo(self._item)
