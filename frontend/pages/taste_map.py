"""The taste map: what is near what, and where you are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from nicegui import ui

from frontend.pages import Page, Shared
from frontend.panels.taste_map import TasteMapPanels
from frontend.visit import Visit


def build(visit: Visit, shared: Shared, _query: Mapping[str, str]) -> Sequence[asyncio.Task[None]]:
    """Draw the page."""
    with ui.element("div").classes("identity"), ui.element("h1"):
        ui.label("Where your taste is.").classes("inline")
    with ui.element("div").classes("grid grid-map"):
        panels = TasteMapPanels(visit, shared.scale)
    return [panels.load(), *visit.start()]


PAGE = Page("/map", "Map", build)
