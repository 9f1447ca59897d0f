"""The first page: rate films, and watch the recommendations and the error change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from nicegui import ui

from frontend.pages import Page, Shared
from frontend.panels.accuracy import AccuracyPanel
from frontend.panels.identity import IdentityPanel
from frontend.panels.ratings import RatingsPanel
from frontend.panels.recommendations import RecommendationsPanel
from frontend.panels.search import SearchPanel
from frontend.visit import Visit


def build(visit: Visit, shared: Shared, _query: Mapping[str, str]) -> Sequence[asyncio.Task[None]]:
    """Draw the page."""
    scale = shared.scale
    IdentityPanel(visit)
    with ui.element("div").classes("grid grid-for-you"):
        search = SearchPanel(visit, scale)
        RecommendationsPanel(visit, scale)
        RatingsPanel(visit, scale)
        AccuracyPanel(visit)
    return [search.load(), *visit.start()]


PAGE = Page("/", "For you", build)
