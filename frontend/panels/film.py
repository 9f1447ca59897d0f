"""The panels of one film's page."""

from __future__ import annotations

import asyncio

from nicegui import ui

from frontend.answers import Film, FilmRatings, ItemList, People
from frontend.elements.stars import Stars
from frontend.panels.breakdown import breakdown
from frontend.panels.fetched import Fetched
from frontend.panels.film_row import FilmRow
from frontend.panels.panel import Panel
from frontend.titles import readable
from frontend.visit import Visit

SIMILAR, ADMIRERS = 8, 8


class FilmPanel:
    """Title, year, genres, and stars; and what the model believes about the visitor and it."""

    def __init__(self, visit: Visit, item: str, scale: tuple[float, float]) -> None:
        self._visit, self._item, self._scale = visit, item, scale
        self._title: str | None = None
        self._stars: Stars | None = None
        panel = Panel("film", "This film", "Asking the model …")
        self.panel = panel
        self._about = Fetched(visit, panel, lambda: visit.api.film(item), self._draw, rows=2)
        belief = Panel("belief", "You and this film", "Asking the model …")
        self._belief = Fetched(
            visit, belief, lambda: visit.api.explain(visit.visitor.user, [item]), self._believe
        )
        visit.changed_ratings.connect(panel, self._show_rating)
        # Another state of the model, or of the visitor: it may believe something else now.
        visit.changed_recommended.connect(belief, self._again)

    def load(self) -> list[asyncio.Task[None]]:
        """Fetch what is shown."""
        return [self._about.load(), self._belief.load()]

    def _again(self) -> None:
        if not self._visit.recommended.loading:
            self._belief.load()

    def _draw(self, film: Film) -> None:
        self._title = film.title
        name = readable(film.title, self._item)
        year = name.year or film.attributes.get("year") or ""
        ui.page_title(f"{name.name} · Recommender")
        average = f"{film.score:.1f} ★ expected of an average user"
        self.panel.say(f"{film.ratings:,} ratings learned · {average}")
        self.panel.body.clear()
        with self.panel.body, ui.element("div").classes("film-page"):
            with ui.element("div"):
                ui.label(name.name).classes("film-title")
                with ui.element("div").classes("chips"):
                    if year:
                        ui.label(str(year)).classes("chip chip-year")
                    for genre in film.genres[:12]:
                        ui.label(genre).classes("chip")
                    if not film.available:
                        ui.label("withdrawn").classes("chip chip-away")
            with ui.element("div").classes("film-rate"):
                self._said = ui.label().classes("caption")
                self._stars = Stars(
                    f"Rate {name.spoken}",
                    lowest=self._scale[0],
                    highest=self._scale[1],
                    on_rate=lambda rating: self._visit.rate(self._item, self._title, rating),
                ).mark(f"stars-{self._item}")
        self._show_rating()

    def _show_rating(self) -> None:
        if self._stars is not None:
            rated = self._visit.ratings.get(self._item)
            self._stars.value = rated.rating if rated else None
            self._said.set_text(f"You gave it {rated.rating:g}" if rated else "Not rated by you")

    def _believe(self, answer: ItemList) -> None:
        panel = self._belief.panel
        found = answer.items[0] if answer.items else None
        if found is None or found.parts is None:
            panel.message("psychology", "The model has nothing to say about this film yet.")
            return
        told = {
            "model": "From your ratings, before you rate it or after.",
            "content": "Nobody has rated it yet: judged by genres and year.",
            "item-bias": "It does not know you yet: rate something.",
        }
        panel.say(f"It expects {found.score:.2f} ★. {told.get(found.source, '')}")
        panel.body.clear()
        with panel.body:
            breakdown(found.parts, found.score)


class DistributionPanel:
    """How everybody has rated the film."""

    def __init__(self, visit: Visit, item: str) -> None:
        self.panel = Panel("distribution", "How it is rated", "Counting …")
        self._fetched = Fetched(
            visit, self.panel, lambda: visit.api.film_ratings(item), self._draw, rows=6
        )

    def load(self) -> asyncio.Task[None]:
        """Fetch what is shown."""
        return self._fetched.load()

    def _draw(self, answer: FilmRatings) -> None:
        total = sum(count.users for count in answer.counts)
        if not total:
            self.panel.say("")
            self.panel.message("bar_chart", "Nobody has rated it yet.")
            return
        mean = sum(count.rating * count.users for count in answer.counts) / total
        part = "" if answer.share >= 1 else f", {answer.share:.1%} of the history looked through"
        self.panel.say(f"{mean:.2f} ★ on average over {total:,} users{part}")
        most = max(count.users for count in answer.counts)
        self.panel.body.clear()
        with self.panel.body, ui.element("dl").classes("bars"):
            for count in reversed(answer.counts):
                with ui.element("div").classes("bar-row"):
                    with ui.element("dt"):
                        ui.label(f"{count.rating:g} ★")
                    with ui.element("dd"):
                        ui.element("div").classes("bar").style(
                            f"width: {82 * count.users / most:.1f}%"
                        )
                        ui.label(f"{count.users:,}").props["title"] = f"{count.users:,} users"


class SimilarPanel:
    """Films like it, to go to and to rate."""

    def __init__(self, visit: Visit, item: str, scale: tuple[float, float]) -> None:
        self._visit, self._scale = visit, scale
        self._rows: list[FilmRow] = []
        self.panel = Panel("similar", "Similar films", "Asking the model …")
        self._fetched = Fetched(
            visit, self.panel, lambda: visit.api.film_similar(item, SIMILAR), self._draw
        )
        visit.changed_ratings.connect(self.panel, self._show_ratings)

    def load(self) -> asyncio.Task[None]:
        """Fetch what is shown."""
        return self._fetched.load()

    def _draw(self, answer: ItemList) -> None:
        if not answer.items:
            self.panel.say("")
            self.panel.message("movie", "Nothing is known to be like it.")
            return
        by_genre = all(film.source == "content" for film in answer.items)
        self.panel.say("By genres and year" if by_genre else "By their factors")
        self.panel.body.clear()
        with self.panel.body, ui.element("ul").classes("films"):
            self._rows = []
            for film in answer.items:
                with ui.element("li"):
                    row = FilmRow(self._visit, film.item, film.title, self._scale)
                self._rows.append(row)

    def _show_ratings(self) -> None:
        for row in self._rows:
            row.show_rating()


class AdmirersPanel:
    """Who would love it, of those who rated last."""

    def __init__(self, visit: Visit, item: str) -> None:
        self._visit = visit
        self.panel = Panel("admirers", "Who would love it", "Asking the model …")
        self._fetched = Fetched(
            visit, self.panel, lambda: visit.api.film_users(item, ADMIRERS), self._draw
        )

    def load(self) -> asyncio.Task[None]:
        """Fetch what is shown."""
        return self._fetched.load()

    def _draw(self, answer: People) -> None:
        if not answer.users:
            self.panel.say("")
            self.panel.message("group", "The model knows nobody yet.")
            return
        self.panel.say("Highest expectation among those who rated last")
        self.panel.body.clear()
        with self.panel.body, ui.element("ul").classes("films"):
            for person in answer.users:
                with ui.element("li"), ui.element("div").classes("film"):
                    with ui.element("div").classes("film-text"):
                        ui.label(f"User {person.user}").classes("film-name")
                        with ui.element("div").classes("film-more"):
                            ui.label(f"{person.ratings:,} ratings")
                    ui.label(f"{person.score:.2f}").classes("film-expected").props["title"] = (
                        "Stars expected, before they are kept on the scale"
                    )
                    be = ui.button(
                        "Be them", on_click=lambda user=person.user: self._be(user), color=None
                    )
                    be.props("flat dense").classes("btn btn-small")
                    be.props["aria-label"] = f"Be user {person.user}"

    def _be(self, user: str) -> None:
        self._visit.become(user)
        ui.notify(f"You are user {user} now.", position="bottom")
