"""The quirky shop: ratings as a picture, and two methods that recover it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from nicegui import ui

from frontend.pages import Page, Shared
from frontend.panels.shop import ShopPanel
from frontend.visit import Visit


def build(_visit: Visit, shared: Shared, _query: Mapping[str, str]) -> Sequence[asyncio.Task[None]]:
    """Draw the page; all that it shows is computed here, no service is asked."""
    with ui.element("div").classes("identity"), ui.element("div").classes("identity-text"):
        with ui.element("h1"):
            ui.label("A shop whose ratings are a picture.").classes("inline")
        ui.label(
            "Each row is a customer, each column a product, each colour a rating of 0 to 255. "
            "Neither method knows that it is a picture: rows and columns are ids like any."
        ).classes("lead")
    ShopPanel(shared.projector)
    return []


PAGE = Page("/shop", "Shop", build)
