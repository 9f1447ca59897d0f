"""How well the model predicts while it learns: prequential RMSE over the stream."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from frontend.answers import Versions
from frontend.panels.axes import BARE, error_axis
from frontend.panels.panel import Panel
from frontend.series import Point, line
from frontend.signal import lives
from frontend.visit import Visit
from recommender.errors import RecommenderError

_MEASURED, _SMOOTHED, _BATCH, _ALS = "#8a93a6", "#7c5cff", "#e0762c", "#16a085"
MOST_REFERENCES = 3  # the latest: more lines hide the curve
REFERENCES_EVERY = 10  # readings of the model; versions seldom change


def references(found: Versions) -> list[dict[str, Any]]:
    """A horizontal line for each version trained in batch: the RMSE of its validation part.

    And one for batch ALS, on the same part, as the latest refit that has measured it tells.
    """
    lines: list[dict[str, Any]] = [
        {"yAxis": round(float(rmse), 4), "name": f"model {version.model}, trained in batch"}
        for version in found.models
        if isinstance(rmse := version.metrics.get("rmse"), int | float)
    ][:MOST_REFERENCES]
    measured = (version.metrics.get("als_rmse") for version in found.models)
    rmse = next((one for one in measured if isinstance(one, int | float)), None)
    if rmse is not None:
        # At the other end: it is often so near to the others that their names would overlap.
        label = {"position": "insideStartTop", "color": _ALS}
        als = {"name": "batch ALS", "lineStyle": {"color": _ALS}, "label": label}
        lines.append({"yAxis": round(float(rmse), 4), **als})
    return lines


class AccuracyPanel:
    """The panel with the chart; updated in place and of bounded length.

    Parameters
    ----------
    visit : Visit
    references : bool
        Whether versions that were trained in batch are there as dashed lines.
    """

    def __init__(self, visit: Visit, *, references: bool = False) -> None:
        self._visit = visit
        self._references = references
        self._readings = 0
        self._asking: asyncio.Task[None] | None = None
        self._points: list[Point] | None = None
        self.panel = Panel("accuracy", "How well it predicts", "Reading the measurements …")
        with self.panel.body.classes("chart-box"):
            # svg: its texts and lines take their colours from the page's theme
            self.chart = ui.echart(_options(), renderer="svg").classes("chart").mark("chart")
            self.chart.props["role"] = "img"
            self._empty = ui.label("The line begins with the first ratings of the stream.")
            self._empty.classes("chart-empty")
        visit.feed.changed.connect(self.panel, self.show)
        self.show()

    def _ask(self) -> None:
        """Read the versions now and then."""
        idle = self._asking is None or self._asking.done()
        if self._references and idle and self._readings % REFERENCES_EVERY == 0:
            self._asking = asyncio.create_task(self._refer(), name="references")
        self._readings += 1

    async def _refer(self) -> None:
        try:
            lines = references(await self._visit.api.models())
        except RecommenderError:
            return  # the lines that are there stay; a predictor without versions has none
        if not lives(self.panel):
            return  # the visitor has gone on while they were fetched
        mark = self.chart.options["series"][1]["markLine"]
        if mark["data"] != lines:
            mark["data"] = lines
            self.chart.update()

    def show(self) -> None:
        """Show the latest reading."""
        if self._visit.feed.problem is None:
            self._ask()
        feed = self._visit.feed
        if feed.model is None:
            if feed.problem is not None:
                self.panel.say("The predictor is away; the chart goes on when it is back.", "away")
            return
        points = line(feed.model.series)
        if feed.problem is not None:
            self.panel.say("The predictor is away; the chart goes on when it is back.", "away")
        elif points:
            last = points[-1]
            self.panel.say(
                f"RMSE {last.smoothed:.3f} stars after {last.total_ratings:,} ratings, "
                "each tested before it is learned"
            )
        else:
            self.panel.say("No rating has been tested yet.")
        if points == self._points:
            return
        self._points = points
        self._empty.set_visibility(not points)
        self._draw(points)

    def _draw(self, points: list[Point]) -> None:
        measured, smoothed = self.chart.options["series"]
        measured["data"] = [[p.total_ratings, round(p.rmse, 4)] for p in points]
        smoothed["data"] = [[p.total_ratings, round(p.smoothed, 4)] for p in points]
        if points:
            self.chart.props["aria-label"] = (
                f"Line chart: prequential RMSE from {points[0].smoothed:.3f} stars after "
                f"{points[0].total_ratings:,} ratings to {points[-1].smoothed:.3f} stars after "
                f"{points[-1].total_ratings:,} ratings"
            )
        self.chart.update()


def _options() -> dict[str, Any]:
    return {
        "animation": False,  # a line that morphs at each reading shows errors that never were
        "grid": {"left": 46, "right": 16, "top": 34, "bottom": 40},
        "legend": {"top": 0, "right": 8, "itemWidth": 16, "itemHeight": 8, "icon": "roundRect"},
        "tooltip": {
            "trigger": "axis",
            "axisPointer": {"type": "line"},
            ":valueFormatter": "value => value.toFixed(3) + ' stars'",
            ":position": "(point, params, dom, rect, size) => "
            "[Math.min(point[0] + 12, size.viewSize[0] - size.contentSize[0]), 8]",
        },
        "xAxis": {
            "type": "value",
            "name": "ratings learned",
            "nameLocation": "middle",
            "nameGap": 26,
            "min": "dataMin",
            "max": "dataMax",
            "splitLine": {"show": False},
            "axisLabel": {
                "hideOverlap": True,
                ":formatter": "value => value >= 1e6 ? (value / 1e6).toFixed(1) + ' M'"
                " : value >= 1e3 ? Math.round(value / 1e3) + ' k' : Math.round(value)",
            },
            **BARE,
        },
        "yAxis": error_axis("RMSE (stars)"),
        "series": [
            {
                "name": "micro-batch",
                "type": "line",
                "showSymbol": False,
                "data": [],
                "color": _MEASURED,
                "lineStyle": {"width": 1, "opacity": 0.55},
            },
            {
                "name": "smoothed",
                "type": "line",
                "showSymbol": False,
                "data": [],
                "color": _SMOOTHED,
                "lineStyle": {"width": 2.5},
                "markLine": {
                    "symbol": "none",
                    "silent": True,
                    "lineStyle": {"type": "dashed", "width": 1.5, "color": _BATCH},
                    # A colour of its own: without, the text gets an outline made for bars.
                    "label": {
                        "position": "insideEndTop",
                        "formatter": "{b}: {c}",
                        "color": _BATCH,
                    },
                    "data": [],
                },
            },
        ],
    }
