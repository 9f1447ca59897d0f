"""Who is looking: become a new person with one click, or an existing user by id."""

from __future__ import annotations

from nicegui import ui

from frontend.visit import Visit
from recommender.errors import InvalidInput


class IdentityPanel:
    """The strip on top of the page that says who the visitor is."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with ui.element("section").classes("identity") as strip:
            strip.props["aria-label"] = "Who you are"
            with ui.element("div").classes("identity-text"):
                with ui.element("h1"):
                    ui.label("Rate a few films. Watch it learn.").classes("inline")
                self._who = ui.label().classes("identity-who").mark("who")
                self._who.props["role"] = "status"
            with ui.element("div").classes("identity-tools"):
                ui.button(
                    "Become a new person", on_click=visit.become_new, icon="person_add", color=None
                ).props("unelevated").classes("btn btn-main").mark("become-new")
                with ui.element("form").classes("identity-form") as form:
                    form.on("submit.prevent", self._become)
                    self._field = (
                        ui.input(placeholder="or a user’s id")
                        .props("outlined dense")
                        .mark("user-id")
                    )
                    self._field.props["aria-label"] = "Id of an existing user, such as 42"
                    self._field.props["autocomplete"] = "off"
                    button = ui.button("Be them", on_click=self._become, color=None)
                    button.props("flat type=button").classes("btn").mark("become")
                    self._field.on("keydown.enter.prevent", self._become)
        visit.changed_user.connect(strip, self._show)
        visit.changed_ratings.connect(strip, self._show)
        self._show()

    def _become(self) -> None:
        try:
            self._visit.become(self._field.value or "")
        except InvalidInput:
            ui.notify("Type the id of a user first, such as 42.", position="bottom")
            return
        self._field.value = ""

    def _show(self) -> None:
        visit = self._visit
        n = len(visit.ratings)
        rated = f"{n:,} film{'s' * (n != 1)} rated" if visit.ratings_loaded or n else "…"
        kind = "a new person" if visit.visitor.is_new else "user"
        self._who.set_text(f"You are {kind} {visit.visitor.user} · {rated}")
