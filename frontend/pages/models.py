"""The versions of the model, for those who look after it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from nicegui import ui

from frontend.pages import Page, Shared
from frontend.panels.models import ModelsPanels
from frontend.panels.race import RacePanel
from frontend.visit import Visit


def build(visit: Visit, _shared: Shared, _query: Mapping[str, str]) -> Sequence[asyncio.Task[None]]:
    """Draw the page."""
    with ui.element("div").classes("identity"), ui.element("h1"):
        ui.label("Versions of the model.").classes("inline")
    with ui.element("div").classes("grid grid-models"):
        panels = ModelsPanels(visit)
        race = RacePanel(visit)
    return [panels.load(), race.load()]


PAGE = Page("/models", "Models", build)
