"""The settings that the serving model learns with."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from frontend.panels.panel import Panel
from frontend.visit import Visit


class SettingsPanel:
    """The panel of the model's settings, as the model itself states them."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._shown: dict[str, Any] | None = None
        self.panel = Panel("settings", "What it learns with", "Asking the model …")
        self.panel.body.classes("scrolls")
        self.panel.skeleton(6)
        visit.feed.changed.connect(self.panel, self.show)
        self.show()

    def show(self) -> None:
        """Show the latest reading; drawn anew only when the settings have changed."""
        feed = self._visit.feed
        if feed.problem is not None:
            self.panel.say("The predictor is away; trying again by itself.", "away")
            if feed.model is None and self._shown is None:
                self._shown = {}
                self.panel.message("cloud_off", feed.problem)
            return
        if feed.model is None:
            return
        settings = feed.model.settings
        self.panel.say(f"{len(settings)} settings of model {feed.model.model}")
        if settings == self._shown and settings:
            return
        self._shown = dict(settings)
        if not settings:
            self.panel.message("tune", "No model yet.")
            return
        self.panel.body.clear()
        with self.panel.body, ui.element("dl").classes("settings"):
            for name, value in sorted(settings.items()):
                with ui.element("dt"):
                    ui.label(name.replace("_", " "))
                with ui.element("dd"):
                    ui.label(f"{value:g}" if isinstance(value, float) else str(value))
