"""Cells of a table, with the scope that screen readers ask for."""

from __future__ import annotations

from nicegui import ui


def headings(*names: str) -> None:
    """The row of headings."""
    with ui.element("thead"), ui.element("tr"):
        for name in names:
            cell(name, "th")


def cell(text: str, tag: str = "td", *, number: bool = False) -> None:
    """One cell; numbers stand in figures of one width."""
    with ui.element(tag).classes("number" if number else "") as element:
        if tag == "th":
            element.props["scope"] = "col"
        ui.label(text).classes("inline")
