"""One film: what is known of it, what the model believes about it and you."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from nicegui import ui

from frontend.pages import Page, Shared
from frontend.panels.film import AdmirersPanel, DistributionPanel, FilmPanel, SimilarPanel
from frontend.titles import FILM_PAGE
from frontend.visit import Visit


def build(visit: Visit, shared: Shared, query: Mapping[str, str]) -> Sequence[asyncio.Task[None]]:
    """Draw the page of the film that the address names."""
    item = query.get("item", "")
    with ui.element("div").classes("identity"), ui.element("h1"):
        ui.label("A film, as the model sees it.").classes("inline")
    with ui.element("div").classes("grid grid-film"):
        film = FilmPanel(visit, item, shared.scale)
        rated = DistributionPanel(visit, item)
        similar = SimilarPanel(visit, item, shared.scale)
        admirers = AdmirersPanel(visit, item)
    return [*film.load(), rated.load(), similar.load(), admirers.load(), *visit.start()]


PAGE = Page(FILM_PAGE, "Film", build, listed=False)
