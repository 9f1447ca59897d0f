"""The race of settings on the live stream: curves, who leads, who is out and why, what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from nicegui import ui

from frontend.answers import Contestant, CurvePoint, Out, Race
from frontend.panels.axes import BARE, error_axis
from frontend.panels.fetched import Fetched
from frontend.panels.panel import Panel
from frontend.panels.table import cell, headings
from frontend.visit import Visit

EVERY = 3  # readings of the model, as the versions beside it


# Of the contestants in the order of the table; who is out is grey.
_COLOURS = ("#7c5cff", "#e0762c", "#16a085", "#3b9ddd", "#cc79a7", "#8a9a1b", "#d55e00", "#e69f00")
_OUT = "#8a93a6"


class RacePanel:
    """Curves and standings, read again as the model learns."""

    def __init__(self, visit: Visit) -> None:
        panel = Panel("race", "The race", "Asking the predictor …")
        self._chart: ui.echart | None = None
        self._standings: ui.element | None = None
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
            self._chart = None
            self._panel.message(
                "flag",
                "Other settings can learn the live stream beside the serving model: "
                "python -m modeler race start.",
            )
            return
        if self._chart is None:
            self._build()
        assert self._chart is not None
        assert self._standings is not None
        lines = curves(race)
        if lines != self._chart.options["series"]:
            self._chart.options["series"] = lines
            self._chart.props["aria-label"] = _spoken(race)
            self._chart.update()
        self._chart.set_visibility(bool(lines))
        self._standings.clear()
        with self._standings:
            if race.contestants:
                _table(race.contestants)
            for gone in race.out:
                ui.label(f"Model {gone.model} is out: {gone.reason}").classes("caption")

    def _build(self) -> None:
        self._panel.body.clear()
        with self._panel.body:
            # svg: its texts and lines take their colours from the page's theme
            self._chart = ui.echart(_options(), renderer="svg").classes("chart race-chart")
            self._chart.mark("race-chart").props["role"] = "img"
            with ui.element("div").classes("table-box") as self._standings:
                self._standings.props.update({"tabindex": "0", "role": "region"})
                self._standings.props["aria-label"] = "Standings of the race"


def curves(race: Race) -> list[dict[str, Any]]:
    """A line for each contestant, the best first; those who are out dashed and grey."""
    lines = [
        _line(f"model {one.model}", one.curve, _COLOURS[place % len(_COLOURS)], "solid")
        for place, one in enumerate(race.contestants)
    ]
    lines += [_line(f"model {one.model}, out", one.curve, _OUT, "dashed") for one in race.out]
    return [line for line in lines if line["data"]]


def _line(name: str, curve: Sequence[CurvePoint], colour: str, kind: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "line",
        "showSymbol": False,
        "color": colour,
        "lineStyle": {"width": 2 if kind == "solid" else 1.5, "type": kind},
        "data": [[point.ratings, point.rmse] for point in curve],
    }


def _spoken(race: Race) -> str:
    everyone: list[Contestant | Out] = [*race.contestants, *race.out]
    ends = [f"model {one.model} {one.curve[-1].rmse:.3f} stars" for one in everyone if one.curve]
    return f"Line chart: faded RMSE of the contestants; at the end {', '.join(ends)}"


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


def _table(contestants: Sequence[Contestant]) -> None:
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


def _options() -> dict[str, Any]:
    return {
        "animation": False,
        "grid": {"left": 46, "right": 16, "top": 34, "bottom": 40},
        "legend": {"top": 0, "itemWidth": 16, "itemHeight": 8, "type": "scroll"},
        "tooltip": {"trigger": "axis", ":valueFormatter": "v => v.toFixed(4) + ' stars'"},
        "xAxis": {
            "type": "value",
            "name": "ratings since the race began",
            "nameLocation": "middle",
            "nameGap": 26,
            "splitLine": {"show": False},
            "axisLabel": {
                "hideOverlap": True,
                ":formatter": "value => value >= 1e6 ? (value / 1e6).toFixed(1) + ' M'"
                " : value >= 1e3 ? +(value / 1e3).toFixed(1) + ' k' : Math.round(value)",
            },
            **BARE,
        },
        "yAxis": error_axis("faded RMSE (stars)"),
        "series": [],
    }
