"""Filters and sliders over the list of recommendations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from nicegui import background_tasks, ui

from frontend.elements.range_field import RangeField
from frontend.visit import Visit
from frontend.wishes import Wishes
from recommender.errors import RecommenderError

# The catalogue's genres are gathered from so many of its most rated films.
GENRES_OF = 400


class WishesForm:
    """A form that opens and closes; every change is a new list.

    Parameters
    ----------
    visit : Visit
        Keeps the wishes.
    tools : ui.element
        Where the button that opens it goes.
    """

    def __init__(self, visit: Visit, tools: ui.element) -> None:
        self._visit = visit
        self._asked = False
        self._showing = False
        with tools:
            self._button = ui.button("Filters", icon="tune", on_click=self.toggle, color=None)
            self._button.props("flat dense no-caps").classes("btn-filters").mark("filters")
            self._button.props["aria-controls"] = "wishes"
        with ui.element("div").classes("wishes") as self._form:
            self._form.props.update({"id": "wishes", "role": "group"})
            self._form.props["aria-label"] = "What the list should be like"
            self._genres = ui.select(
                [], multiple=True, label="Genres", on_change=self._chosen, clearable=True
            )
            self._genres.props("outlined dense use-chips options-dense").classes("wish-genres")
            self._genres.mark("genres")
            self._years = (self._year("From year", "year-min"), self._year("to year", "year-max"))
            self._diversity = _range("diversity", "Diversity: films that differ more", self._slid)
            self._novelty = _range("novelty", "Novelty: films that fewer know", self._slid)
        self.element = self._form
        self._form.set_visibility(False)
        visit.changed_user.connect(self._form, self._show)
        self._show()

    def _year(self, label: str, marker: str) -> ui.number:
        field = ui.number(label, precision=0, on_change=self._chosen).mark(marker)
        field.props("outlined dense debounce=500 clearable").classes("wish-year")
        return field

    def _slid(self, _value: float) -> None:
        diversity, novelty = round(self._diversity.value, 2), round(self._novelty.value, 2)
        self._wish(replace(self._visit.wishes, diversity=diversity, novelty=novelty))

    def toggle(self) -> None:
        """Open or close the form."""
        self._form.set_visibility(not self._form.visible)
        self._button.props["aria-expanded"] = "true" if self._form.visible else "false"
        if self._form.visible and not self._asked:
            self._asked = True
            background_tasks.create(self._ask_genres(), context=self._form)

    async def _ask_genres(self) -> None:
        try:
            found = await self._visit.api.film_map(None, GENRES_OF)
        except RecommenderError:
            self._asked = False  # asked again when the form is opened next
            return
        genres = {genre for film in found.items for genre in film.genres}
        self._offer(sorted(genres | set(self._visit.wishes.genres)))

    def _offer(self, genres: list[str]) -> None:
        with self._shown():
            self._genres.set_options(genres, value=list(self._visit.wishes.genres))

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """While what is wished is put into the fields, their changes are nobody's wish."""
        self._showing = True
        try:
            yield
        finally:
            self._showing = False

    def _chosen(self) -> None:
        if self._showing:
            return
        low, high = (field.value for field in self._years)
        self._wish(
            replace(
                self._visit.wishes,
                genres=tuple(self._genres.value or ()),
                year_min=_year(low),
                year_max=_year(high),
            )
        )

    def _wish(self, wishes: Wishes) -> None:
        if wishes != self._visit.wishes:
            self._visit.wish(wishes)
            self._say()

    def _show(self) -> None:
        wishes = self._visit.wishes
        self._offer(sorted({*wishes.genres, *self._genres.options}))
        with self._shown():
            self._years[0].value, self._years[1].value = wishes.year_min, wishes.year_max
        self._diversity.value, self._novelty.value = wishes.diversity, wishes.novelty
        self._button.props["aria-expanded"] = "true" if self._form.visible else "false"
        self._say()

    def _say(self) -> None:
        n = self._visit.wishes.count
        self._button.set_text(f"Filters · {n}" if n else "Filters")


def _range(marker: str, label: str, slid: Callable[[float], None]) -> RangeField:
    with ui.element("div").classes("wish-range"):
        ui.label(label).classes("caption").props["aria-hidden"] = "true"
        return RangeField(label, 0, 1, step=0.05, value=0, on_change=slid, settled=True).mark(
            marker
        )


def _year(value: object) -> int | None:
    """A year that the predictor takes; None for anything else."""
    if isinstance(value, int | float) and -9999 <= value <= 9999:
        return int(value)
    return None
