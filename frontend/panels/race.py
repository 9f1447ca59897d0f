"""The race of settings on the live stream: who leads, who is out and why, what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nicegui import ui

from frontend.answers import Contestant, Race
from frontend.panels.fetched import Fetched
from frontend.panels.panel import Panel
from frontend.panels.table import cell, headings
from frontend.visit import Visit

EVERY = 3  # readings of the model, as the versions beside it


class RacePanel:
    """The standings, read again as the model learns."""

    def __init__(self, visit: Visit) -> None:
        panel = Panel("race", "The race", "Asking the predictor …")
        panel.body.classes("table-box")
        panel.body.props.update({"tabindex": "0", "role": "region"})
        panel.body.props["aria-label"] = "Standings of the race"
        self._visit = visit
        self._panel = panel
        self._readings = 0
        self._fetched = Fetched(visit, panel, visit.api.race, self._draw, rows=3)
        visit.feed.changed.connect(panel, self._on_feed)

    def load(self) -> asyncio.Task[None]:
        """Read the standings."""
        return self._fetched.load()

    def _on_feed(self) -> None:
        self._readings += 1
        if self._readings % EVERY == 0 and self._fetched.idle and not self._visit.feed.problem:
            self.load()

    def _draw(self, race: Race) -> None:
        self._panel.say(_said(race))
        if not race.contestants and not race.out:
            self._panel.message(
                "flag",
                "Other settings can learn the live stream beside the serving model: "
                "python -m modeler race start.",
            )
            return
        self._panel.body.clear()
        with self._panel.body:
            if race.contestants:
                _standings(race.contestants)
            for gone in race.out:
                ui.label(f"Model {gone.model} is out: {gone.reason}").classes("caption")


def _said(race: Race) -> str:
    if race.state == "none":
        return "None has been run"
    if race.state == "ended":
        return f"Race {race.race} has ended: {race.reason}" if race.reason else "It has ended"
    here = len(race.contestants)
    return (
        f"Race {race.race}: {here} of at most {race.cost.width or here} contestants, copies with "
        f"{race.cost.share:.0%} of the learning’s cost"
    )


def _standings(contestants: Sequence[Contestant]) -> None:
    names = sorted({name for one in contestants for name in one.settings})
    # What is the same for all tells nothing.
    differing = [
        name for name in names if len({repr(one.settings.get(name)) for one in contestants}) > 1
    ]
    with ui.element("table").classes("table"):
        headings(
            "Place",
            "Version",
            "Status",
            "RMSE",
            "Ratings",
            *(n.replace("_", " ") for n in differing),
        )
        with ui.element("tbody"):
            for place, one in enumerate(contestants, 1):
                with ui.element("tr"):
                    cell(str(place), number=True)
                    cell(f"Model {one.model}")
                    with ui.element("td"):
                        ui.label(one.status).classes(f"chip chip-{one.status}")
                    cell("–" if one.rmse is None else f"{one.rmse:.4f}", number=True)
                    cell(f"{one.ratings:,}", number=True)
                    for name in differing:
                        value = one.settings.get(name)
                        cell(f"{value:g}" if isinstance(value, int | float) else "–", number=True)
