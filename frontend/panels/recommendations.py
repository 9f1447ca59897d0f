"""What the model recommends now: a list that re-ranks before the visitor's eyes."""

from __future__ import annotations

from nicegui import ui

from frontend.answers import Item
from frontend.elements.moving_list import MovingList
from frontend.panels.film_row import FilmRow
from frontend.panels.panel import Panel
from frontend.ranking import Change, change
from frontend.titles import readable
from frontend.visit import RECOMMENDATIONS, Visit


class RecommendationsPanel:
    """The panel of recommendations; every row can be rated in place."""

    def __init__(self, visit: Visit, scale: tuple[float, float]) -> None:
        self._visit = visit
        self._scale = scale
        self._shown: list[Item] | None = None
        self._rows: dict[str, FilmRow] = {}
        self._list: MovingList | None = None
        self._user = visit.visitor.user
        self.panel = Panel("recommended", "Recommended for you", "Asking the model …")
        with self.panel.tools:
            ui.label("expected").classes("caption-expected")
            ui.label("yours").classes("caption-yours")
        with self.panel:
            self._gone = ui.label().classes("panel-foot").mark("gone")
        self.panel.skeleton(RECOMMENDATIONS)
        visit.changed_recommended.connect(self.panel, self._show)
        visit.changed_ratings.connect(self.panel, self._show_ratings)

    def _show(self) -> None:
        state = self._visit.recommended
        self._say()
        self.panel.classes(
            add="is-loading" if state.loading else "", remove="" if state.loading else "is-loading"
        )
        if state.list is None:
            if state.problem is not None:
                self._forget()
                self.panel.message("cloud_off", state.problem)
            elif self._user != self._visit.visitor.user:
                self._forget()
                self.panel.skeleton(RECOMMENDATIONS)
            self._user = self._visit.visitor.user
            return
        self._user = self._visit.visitor.user
        if state.list.items != self._shown:
            self._arrange(state.list.items)
        for item, row in self._rows.items():
            expected = state.expected.get(item)
            row.expected.set_text("" if expected is None else f"{expected:.1f} ★")
            if expected is not None:
                row.expected.props["title"] = f"You would rate it {expected:.2f} stars, we expect"

    def _forget(self) -> None:
        self._shown, self._list = None, None
        self._rows = {}
        self._gone.set_text("")

    def _arrange(self, films: list[Item]) -> None:
        before = [film.item for film in self._shown or []]
        titles = {film.item: film.title for film in [*(self._shown or []), *films]}
        after = [film.item for film in films]
        difference = change(before, after) if before else Change({}, (), ())
        self._shown = films
        if not films:
            self._forget()
            self._shown = films
            self.panel.message("movie", "Nothing to recommend yet: the catalogue is empty.")
            return
        if self._list is None:
            self.panel.body.clear()
            with self.panel.body:
                self._list = MovingList().mark("ranking")
                self._list.props["aria-label"] = "Recommended films, best first"
        self._list.arrange(after, lambda item: self._build(item, titles[item]))
        self._rows = {item: self._rows[item] for item in after}
        for place, item in enumerate(after, start=1):
            row = self._rows[item]
            row.place.set_text(str(place))
            _mark(row.badge, item, difference)
        gone = [
            readable(titles[item], item).name + " (rated)" * (item in self._visit.ratings)
            for item in difference.gone
        ]
        self._gone.set_text(f"Gone: {', '.join(gone)}" if gone else "")

    def _build(self, item: str, title: str | None) -> None:
        self._rows[item] = FilmRow(self._visit, item, title, self._scale, ranked=True)

    def _show_ratings(self) -> None:
        for row in self._rows.values():
            row.show_rating()
        self._say()

    def _say(self) -> None:
        state = self._visit.recommended
        if state.problem is not None:
            self.panel.say("The predictor is away; trying again by itself.", "away")
        elif self._visit.ingest_problem is not None:
            self.panel.say("Ingest is away: this list will follow your ratings again soon.", "away")
        elif state.loading and state.awaited is not None:
            self.panel.say("Learning your rating …")
        elif state.awaited is not None:
            self.panel.say("Your rating is safe in the log; the model is catching up.", "away")
        elif state.list is not None and state.list.stale:
            self.panel.say("The stores are away: this is the last list that is known.", "away")
        elif state.learned is not None:
            title, item, seconds = state.learned
            self.panel.say(
                f"Learned {readable(title, item).name} {seconds:.1f} s after your click", "good"
            )
        elif state.list is None:
            self.panel.say("Asking the model …")
        elif state.list.source not in ("model", "fold-in"):
            self.panel.say("What most people like. Rate a film and this becomes yours.")
        else:
            self.panel.say("Your ratings, learned. Rate one more and watch it move.")


def _mark(badge: ui.label, item: str, difference: Change) -> None:
    """Say what has become of a place: new, up, down, or nothing."""
    gained = difference.moved.get(item, 0)
    kind, text, spoken = "", "", ""
    if item in difference.new:
        kind, text, spoken = "new", "new", "new in the list"
    elif gained > 0:
        kind, text, spoken = "up", f"▲ {gained}", f"up {gained}"
    elif gained < 0:
        kind, text, spoken = "down", f"▼ {-gained}", f"down {-gained}"
    badge.set_text(text)
    badge.classes(replace=f"film-badge {'badge-' + kind if kind else ''}")
    badge.props["title"] = spoken
