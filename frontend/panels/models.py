"""Versions of the model: what each learns with, how each does, which one serves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from nicegui import ui

from frontend.answers import Version, Versions
from frontend.panels.panel import Panel
from frontend.panels.table import cell, headings
from frontend.signal import lives
from frontend.visit import Visit
from recommender.errors import InvalidInput, RecommenderError

FIGURES = (("rmse", "RMSE"), ("mae", "MAE"), ("ndcg@10", "NDCG@10"))
# What one candidate has done in a micro-batch changes no one's mind; reading it is not free.
EVERY = 3  # readings of the model


class ModelsPanels:
    """The table of versions, and beside it the settings of the one that is looked at."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._shown: list[Version] | None = None
        self._away = False  # what the panels say is that
        self._looked_at: int | None = None
        self._readings = 0
        self._loading: asyncio.Task[None] | None = None
        self.panel = Panel("versions", "Versions", "Asking the predictor …")
        self.panel.body.classes("table-box")
        self.panel.body.props.update({"tabindex": "0", "role": "region"})
        self.panel.body.props["aria-label"] = "Table of versions"
        self.panel.skeleton(4)
        self._settings = Panel("chosen", "Settings", "Asking the predictor …")
        self._settings.body.classes("scrolls")
        self._settings.skeleton(6)
        self._key = self._admin()
        visit.feed.changed.connect(self.panel, self._on_feed)

    def _admin(self) -> ui.input:
        with ui.element("section").classes("panel panel-admin") as section:
            section.props["aria-labelledby"] = "admin-title"
            with ui.element("h2") as heading:
                heading.props["id"] = "admin-title"
                ui.label("For the operator").classes("inline")
            ui.label(
                "Changes need one of the predictor’s API keys, if it has any. The key stays in "
                "this page and is forgotten with it."
            ).classes("caption")
            with ui.element("div").classes("admin-tools"):
                key = ui.input("Admin key", password=True).props("outlined dense")
                key.props["autocomplete"] = "off"
                key.mark("admin-key")
                ui.button("Roll back", icon="undo", color=None, on_click=self._rollback).props(
                    "flat"
                ).classes("btn").mark("rollback")
                self._force = ui.checkbox("Promote whatever the gate says").mark("force")
        return key

    # Reading -------------------------------------------------------------------------------

    def load(self) -> asyncio.Task[None]:
        """Read all versions; an older request still under way is dropped."""
        if self._loading is not None:
            self._loading.cancel()
        self._loading = asyncio.create_task(self._load(), name="models")
        return self._loading

    def _on_feed(self) -> None:
        self._readings += 1
        if self._visit.feed.problem is None and self._readings % EVERY == 0:
            self.load()

    async def _load(self) -> None:
        try:
            found = await self._visit.api.models()
        except InvalidInput:
            self._shown = None
            self.panel.say("")
            self.panel.message("inventory_2", "This predictor keeps no versions of its model.")
            self._settings.say("")
            self._settings.message("tune", "No version to look at.")
            return
        except RecommenderError as error:
            for panel in (self.panel, self._settings):
                panel.say("The predictor is away; trying again by itself.", "away")
                if self._shown is None:
                    panel.message("cloud_off", str(error))
            self._away = True
            return
        if not lives(self.panel):
            return  # the visitor has gone on while it was fetched
        n = len(found.models)
        self.panel.say(f"{n} version{'s' * (n != 1)}, the latest first")
        if found.models != self._shown or self._away:
            self._shown, self._away = found.models, False
            self._draw(found)

    def _draw(self, found: Versions) -> None:
        if not found.models:
            self.panel.message("inventory_2", "There is no model yet.")
            self._settings.message("tune", "No version to look at.")
            return
        self.panel.body.clear()
        with self.panel.body, ui.element("table").classes("table"):
            headings(
                *("Version", "Status", "Made", "Ratings", *(name for _, name in FIGURES)),
                *("Lately, beside the serving one", "Gate", "What to do"),
            )
            with ui.element("tbody"):
                for version in found.models:
                    self._row(version)
        numbers = [version.model for version in found.models]
        if self._looked_at not in numbers:
            serving = [version.model for version in found.models if version.status == "serving"]
            self._looked_at = (serving or numbers)[0]
        self._draw_settings()

    def _row(self, version: Version) -> None:
        n = version.model
        with ui.element("tr"):
            with ui.element("th") as head:
                head.props["scope"] = "row"
                look = ui.button(f"Model {n}", on_click=lambda: self._look_at(n), color=None)
                look.props("flat dense no-caps").classes("btn-text").mark(f"look-{n}")
                look.props["aria-label"] = f"Settings of model {n}"
            with ui.element("td"):
                chip = ui.label(version.status).classes(f"chip chip-{version.status}")
                chip.props["title"] = version.reason
            cell(_when(version.created_at))
            cell(f"{version.ratings:,}", number=True)
            for key, _ in FIGURES:
                cell(_figure(version.metrics.get(key)), number=True)
            lately = version.prequential
            cell(
                "–"
                if lately.rmse is None
                else f"{lately.rmse:.3f}"
                if lately.rmse_serving is None or version.status == "serving"
                else f"{lately.rmse:.3f} / {lately.rmse_serving:.3f}",
                number=True,
            )
            with ui.element("td"):
                ui.label(version.gate.state.replace("none", "–")).classes(
                    f"gate gate-{version.gate.state}"
                ).props["title"] = version.gate.reason
            with ui.element("td"), ui.element("div").classes("row-tools"):
                if version.status == "candidate":
                    _action("Promote", n, lambda: self._promote(n))
                if version.status in ("candidate", "training"):
                    _action("Retire", n, lambda: self._retire(n))

    def _look_at(self, model: int) -> None:
        self._looked_at = model
        self._draw_settings()

    def _draw_settings(self) -> None:
        versions = {version.model: version for version in self._shown or []}
        version = versions.get(self._looked_at or -1)
        if version is None:
            return
        serving = next((v for v in versions.values() if v.status == "serving"), version)
        different = {
            name
            for name in {*version.settings, *serving.settings}
            if version.settings.get(name) != serving.settings.get(name)
        }
        self._settings.say(
            f"Model {version.model}: "
            + (
                "serves"
                if version is serving
                else f"{len(different)} other than model {serving.model}’s"
            )
        )
        self._settings.body.clear()
        with self._settings.body:
            if version.reason:
                ui.label(version.reason).classes("caption")
            if version.gate.reason:
                ui.label(version.gate.reason).classes("caption")
            with ui.element("dl").classes("settings"):
                for name, value in sorted(
                    version.settings.items(), key=lambda pair: (pair[0] not in different, pair[0])
                ):
                    other = "is-other" if name in different else ""
                    with ui.element("dt").classes(other):
                        ui.label(name.replace("_", " "))
                    with ui.element("dd").classes(other):
                        ui.label(f"{value:g}" if isinstance(value, float) else str(value))

    # Changing ------------------------------------------------------------------------------

    async def _promote(self, model: int) -> None:
        force = bool(self._force.value)
        await self._change(
            f"Model {model} serves.",
            lambda key: self._visit.api.promote(model, force=force, key=key),
        )

    async def _retire(self, model: int) -> None:
        await self._change(
            f"Model {model} is retired.", lambda key: self._visit.api.retire(model, key=key)
        )

    async def _rollback(self) -> None:
        await self._change(
            "The model that served before serves again.",
            lambda key: self._visit.api.rollback(key=key),
        )

    async def _change(self, done: str, ask: Callable[[str], Awaitable[Any]]) -> None:
        try:
            await ask((self._key.value or "").strip())
        except RecommenderError as error:
            words = error.allowed if isinstance(error, InvalidInput) else str(error)
            ui.notify(f"Not done: {words}", type="warning", position="bottom")
            return
        ui.notify(done, position="bottom")
        await self.load()


def _action(word: str, model: int, click: Callable[[], Awaitable[None]]) -> None:
    button = ui.button(word, on_click=click, color=None).props("flat dense no-caps")
    button.classes("btn btn-small").mark(f"{word.lower()}-{model}")
    button.props["aria-label"] = f"{word} model {model}"


def _figure(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "–"


def _when(at: datetime | None) -> str:
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"
