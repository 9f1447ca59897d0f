"""What the model recommends now: a list that re-ranks before the visitor's eyes."""

from __future__ import annotations

from nicegui import ui

from frontend.answers import Explanation, Item
from frontend.elements.moving_list import MovingList
from frontend.panels.breakdown import breakdown
from frontend.panels.film_row import FilmRow
from frontend.panels.panel import Panel
from frontend.panels.wishes import WishesForm
from frontend.ranking import Change, change
from frontend.titles import readable
from frontend.visit import RECOMMENDATIONS, Visit

# Where the score does not come from the visitor's own ratings.
_SOURCES = {
    "popular": "many people rated it",
    "trending": "rated much of late",
    "content": "its genres and year",
    "exploration": "few have rated it yet",
}
_PARTS = {"prediction": "expected rating", "taste": "taste", "popularity": "popularity"}


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
        self._opened: set[str] = set()
        self._more: dict[str, ui.element] = {}
        with self.panel:
            WishesForm(visit, self.panel.tools).element.move(self.panel, 1)
            with ui.element("div").classes("list-head") as head:
                head.props["aria-hidden"] = "true"
                ui.label("expected").classes("caption-expected")
                ui.label("yours").classes("caption-yours")
            head.move(self.panel, 3)
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
            row.expected.set_text("" if expected is None else f"{expected.score:.1f} ★")
            if expected is not None:
                row.expected.props["title"] = (
                    f"You would rate it {expected.score:.2f} stars, we expect"
                )
            if item in self._opened:
                self._explain(item)

    def _forget(self) -> None:
        self._shown, self._list = None, None
        self._rows, self._more, self._opened = {}, {}, set()
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
            filtered = self._visit.wishes.count > 0
            self.panel.message(
                "filter_alt_off" if filtered else "movie",
                "No film is left: take a filter away."
                if filtered
                else "Nothing to recommend yet: the catalogue is empty.",
            )
            return
        if self._list is None:
            self.panel.body.clear()
            with self.panel.body:
                self._list = MovingList().mark("ranking")
                self._list.props["aria-label"] = "Recommended films, best first"
        self._list.arrange(after, lambda item: self._build(item, titles[item]))
        self._rows = {item: self._rows[item] for item in after}
        self._more = {item: self._more[item] for item in after}
        self._opened &= set(after)
        for place, item in enumerate(after, start=1):
            row = self._rows[item]
            row.place.set_text(str(place))
            _mark(row.badge, item, difference)
        for film in films:
            reason = because(film)
            self._rows[film.item].reason.set_text(reason)
            self._rows[film.item].reason.props["title"] = reason
        gone = [
            readable(titles[item], item).name + " (rated)" * (item in self._visit.ratings)
            for item in difference.gone
        ]
        self._gone.set_text(f"Gone: {', '.join(gone)}" if gone else "")

    def _build(self, item: str, title: str | None) -> None:
        row = FilmRow(self._visit, item, title, self._scale, ranked=True)
        self._rows[item] = row
        self._more[item] = ui.element("div").classes("film-explained")
        self._more[item].set_visibility(False)
        self._opened.discard(item)
        row.why.on_click(lambda: self._toggle(item))

    def _toggle(self, item: str) -> None:
        """Open or close the explanation of a film."""
        opening = item not in self._opened
        self._opened ^= {item}
        self._more[item].set_visibility(opening)
        why = self._rows[item].why
        why.props["icon"] = "expand_less" if opening else "expand_more"
        why.props["aria-expanded"] = "true" if opening else "false"
        if opening:
            self._explain(item)

    def _explain(self, item: str) -> None:
        film = next((film for film in self._shown or [] if film.item == item), None)
        expected = self._visit.recommended.expected.get(item)
        more = self._more[item]
        more.clear()
        if film is None:
            return
        with more:
            if expected is not None and expected.parts is not None:
                ui.label("The rating that it expects of you").classes("caption")
                breakdown(expected.parts, expected.score)
            if film.explanation is not None:
                place(film.explanation)

    def _show_ratings(self) -> None:
        for row in self._rows.values():
            row.show_rating()
        self._say()

    def _say(self) -> None:
        state = self._visit.recommended
        if state.problem is not None:
            self.panel.say("The predictor is away; trying again by itself.", "away")
        elif self._visit.outbox.problem is not None:
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
        elif not state.list.items:
            self.panel.say("No film is left with these filters.")
        elif state.list.source not in ("model", "fold-in"):
            self.panel.say("What most people like. Rate a film and this becomes yours.")
        else:
            self.panel.say("Your ratings, learned. Rate one more and watch it move.")


def because(film: Item) -> str:
    """Why a film is in the list, in a few words."""
    if film.source in _SOURCES:
        return _SOURCES[film.source]
    reasons = film.explanation.why if film.explanation else []
    names = [readable(reason.title, reason.item).name for reason in reasons[:2]]
    return f"because of {' and '.join(names)}" if names else ""


def place(explanation: Explanation) -> None:
    """Draw what a film's place in the list comes from."""
    parts = {name: value for name, value in explanation.parts.items() if value}
    if parts:
        ui.label("Its place in the list").classes("caption caption-next")
        words = [f"{_PARTS.get(name, name)} {value:+.2f}" for name, value in parts.items()]
        ui.label(" · ".join(words)).classes("film-parts")
    if explanation.why:
        with ui.element("ul").classes("film-reasons"):
            for reason in explanation.why:
                with ui.element("li"):
                    name = readable(reason.title, reason.item).name
                    given = "" if reason.rating is None else f", which you gave {reason.rating:g}"
                    ui.label(f"{name}{given}")
                    ui.label(f"{reason.share:.0%} of {_PARTS.get(reason.part, reason.part)}")


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
