"""The stream: how the error falls while ratings flow, and the figures of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from nicegui import ui

from frontend.pages import Page, Shared
from frontend.panels.accuracy import AccuracyPanel
from frontend.panels.figures import FiguresPanel
from frontend.panels.micro_batches import MicroBatchesPanel
from frontend.panels.settings_table import SettingsPanel
from frontend.visit import Visit


def build(visit: Visit, _shared: Shared, _query: Mapping[str, str]) -> Sequence[asyncio.Task[None]]:
    """Draw the page; the feed brings most of what it shows."""
    with ui.element("div").classes("identity"), ui.element("h1"):
        ui.label("Every rating is tested, then learned.").classes("inline")
    with ui.element("div").classes("grid grid-live"):
        AccuracyPanel(visit, references=True)
        FiguresPanel(visit)
        batches = MicroBatchesPanel(visit)
        SettingsPanel(visit)
    return [batches.load()]


PAGE = Page("/live", "Live", build)
