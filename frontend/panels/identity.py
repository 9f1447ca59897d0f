"""Who is looking: become a new person, be an existing user, or have yourself forgotten."""

from __future__ import annotations

from nicegui import ui

from frontend.visit import Visit
from recommender.errors import InvalidInput, RecommenderError

OFFERED = 50


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
                        .props("outlined dense list=active-users")
                        .mark("user-id")
                    )
                    self._field.props["aria-label"] = "Id of an existing user, such as 42"
                    self._field.props["autocomplete"] = "off"
                    self._active = ui.element("datalist")
                    self._active.props["id"] = "active-users"
                    button = ui.button("Be them", on_click=self._become, color=None)
                    button.props("flat type=button").classes("btn").mark("become")
                    self._field.on("keydown.enter.prevent", self._become)
                    self._field.on("focus", self._offer)
                forget = ui.button("Forget me", on_click=self._ask, color=None)
                forget.props("flat").classes("btn btn-quiet").mark("forget")
        with ui.dialog() as self._dialog, ui.card().classes("dialog"):
            with ui.element("h2"):
                ui.label("Forget everything about you?").classes("inline")
            self._what = ui.label()
            with ui.element("div").classes("dialog-tools"):
                ui.button("Keep it", on_click=self._dialog.close, color=None).props("flat").classes(
                    "btn"
                )
                ui.button("Forget me", on_click=self._forget, color=None).props(
                    "unelevated"
                ).classes("btn btn-main").mark("forget-really")
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

    async def _offer(self) -> None:
        """Offer the users who rated last, as soon as somebody is about to pick one."""
        if self._active.default_slot.children:
            return
        try:
            found = await self._visit.api.active_users(OFFERED)
        except RecommenderError:
            return  # an id can be typed all the same
        with self._active:
            for person in found.users:
                ui.element("option").props["value"] = person.user

    def _ask(self) -> None:
        n = len(self._visit.ratings)
        self._what.set_text(
            f"User {self._visit.visitor.user} and {n:,} rating{'s' * (n != 1)} will be taken "
            "out of the model and its stores. You go on as a new person."
        )
        self._dialog.open()

    async def _forget(self) -> None:
        self._dialog.close()
        try:
            await self._visit.forget()
        except RecommenderError as error:
            ui.notify(f"Not forgotten: {error}", type="warning", position="bottom")
            return
        ui.notify("Forgotten. You are a new person.", position="bottom")

    def _show(self) -> None:
        visit = self._visit
        n = len(visit.ratings)
        rated = f"{n:,} film{'s' * (n != 1)} rated" if visit.ratings_loaded or n else "…"
        kind = "a new person" if visit.visitor.is_new else "user"
        self._who.set_text(f"You are {kind} {visit.visitor.user} · {rated}")
