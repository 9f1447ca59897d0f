"""The frame of a panel: a heading, one line that says how things stand, and the content.

The line has its place from the start, so nothing jumps when it begins to speak.
"""

from __future__ import annotations

from typing import Literal

from nicegui import ui

Tone = Literal["", "good", "away"]


class Panel(ui.element):
    """A titled region of a page.

    Parameters
    ----------
    name : str
        Area of the page's grid, and the start of the ids; a CSS identifier.
    title : str
        The heading.
    status : str
        What the line says at first.
    """

    def __init__(self, name: str, title: str, status: str = "") -> None:
        super().__init__("section")
        self.classes(f"panel panel-{name}")
        self.props["aria-labelledby"] = f"{name}-title"
        with self:
            with ui.element("header").classes("panel-head"):
                with ui.element("h2") as heading:
                    heading.props["id"] = f"{name}-title"
                    ui.label(title).classes("inline")
                self.tools = ui.element("div").classes("panel-tools")
            self._status = ui.label(status).classes("panel-status").mark(f"{name}-status")
            self._status.props["role"] = "status"
            self.body = ui.element("div").classes("panel-body").mark(f"{name}-body")

    def say(self, text: str, tone: Tone = "") -> None:
        """Say in the panel's line how things stand; screen readers hear it."""
        self._status.set_text(text)
        self._status.classes(replace=f"panel-status {'tone-' + tone if tone else ''}")

    def skeleton(self, rows: int) -> None:
        """Grey rows of the size of what will stand there."""
        self.body.clear()
        with self.body, ui.element("div").classes("skeleton-rows") as rows_element:
            rows_element.props["aria-hidden"] = "true"
            for _ in range(rows):
                ui.element("div").classes("skeleton-row")

    def message(self, icon: str, text: str) -> None:
        """Say in place of the content why there is none."""
        self.body.clear()
        with self.body, ui.element("div").classes("panel-message"):
            ui.icon(icon).props["aria-hidden"] = "true"
            ui.label(text)
