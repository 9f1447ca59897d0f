"""How the last micro-batches went: the time of each step, freshness, dead letters."""

from __future__ import annotations

import asyncio
import statistics
from typing import Any

from nicegui import ui

from frontend.answers import Stream, StreamedBatch
from frontend.panels.fetched import Fetched
from frontend.panels.panel import Panel
from frontend.visit import Visit

# As many as there is room for as bars on a phone; the page never holds more.
BATCHES = 60
# In the order in which they happen; others, of a later version, follow by name.
STEPS = ("spark", "read", "parse", "replay", "load", "learn", "stage", "commit")
_COLOURS = (
    *("#8d99ae", "#3b9ddd", "#16a085", "#8a9a1b", "#e69f00", "#7c5cff", "#cc79a7", "#d55e00"),
)


def steps(batches: list[StreamedBatch]) -> dict[str, list[float]]:
    """Milliseconds of each step by micro-batch, in the order in which the steps happen."""
    named = {name for batch in batches for name in batch.seconds}
    order = [name for name in STEPS if name in named] + sorted(named - set(STEPS))
    return {
        name: [round(1000 * batch.seconds.get(name, 0.0), 1) for batch in batches] for name in order
    }


class MicroBatchesPanel:
    """A bar for each micro-batch, and the figures of freshness and of what could not be read."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._chart: ui.echart | None = None
        self._figures: dict[str, ui.label] = {}
        self._last: int | None = None
        self.panel = Panel("batches", "Micro-batches by step", "Reading the measurements …")
        self._fetched = Fetched(
            visit, self.panel, lambda: visit.api.stream(BATCHES), self._draw, rows=6
        )
        visit.feed.changed.connect(self.panel, self._again)

    def load(self) -> asyncio.Task[None]:
        """Fetch what is shown."""
        return self._fetched.load()

    def _again(self) -> None:
        if self._visit.feed.problem is not None:
            self.panel.say("The predictor is away; these are the last figures known.", "away")
        elif self._fetched.idle:
            self._fetched.load()

    def _draw(self, stream: Stream) -> None:
        if not stream.batches:
            self.panel.say("")
            self._chart = None
            self.panel.message("bar_chart", "The bars begin with the first micro-batch.")
            return
        if self._chart is None:
            self._build()
        self._say(stream)
        last = stream.batches[-1].batch
        if last == self._last or self._chart is None:
            return  # nothing has been learned since
        self._last = last
        times = steps(stream.batches)
        self._chart.options["xAxis"]["data"] = [f"{batch.batch:,}" for batch in stream.batches]
        self._chart.options["series"] = [
            {
                "name": name,
                "type": "bar",
                "stack": "steps",
                "color": _COLOURS[number % len(_COLOURS)],
                "barCategoryGap": "18%",
                "data": values,
            }
            for number, (name, values) in enumerate(times.items())
        ]
        self._chart.props["aria-label"] = (
            f"Bar chart: time by step of the last {len(stream.batches)} micro-batches, in "
            "milliseconds"
        )
        self._chart.update()

    def _say(self, stream: Stream) -> None:
        whole = [1000 * sum(batch.seconds.values()) for batch in stream.batches]
        sizes = [batch.ratings for batch in stream.batches]
        self.panel.say(
            f"The last {len(whole)}: {statistics.median(whole):,.0f} ms and "
            f"{statistics.median(sizes):,.0f} ratings in the middle one"
        )
        fresh = stream.freshness
        for name, text in {
            "ms until learned, half": _milliseconds(fresh.p50),
            "ms until learned, 99 %": _milliseconds(fresh.p99),
            "dead letters so far": f"{stream.dead_letters:,}",
            "duplicates of late": f"{sum(batch.duplicates for batch in stream.batches):,}",
        }.items():
            self._figures[name].set_text(text)

    def _build(self) -> None:
        self.panel.body.clear()
        with self.panel.body:
            # svg: its texts and lines take their colours from the page's theme
            self._chart = ui.echart(_options(), renderer="svg").classes("chart batches-chart")
            self._chart.mark("batches").props["role"] = "img"
            with ui.element("dl").classes("figures figures-small"):
                for name, meaning in (
                    ("ms until learned, half", "From a rating's own time to its commit: median"),
                    ("ms until learned, 99 %", "From a rating's own time to its commit: p99"),
                    ("dead letters so far", "Records that could not be read"),
                    ("duplicates of late", "Ratings delivered again, which count once"),
                ):
                    with ui.element("div").classes("figure") as figure:
                        figure.props["title"] = meaning
                        with ui.element("dt"):
                            ui.label(name)
                        with ui.element("dd"):
                            self._figures[name] = ui.label("–").mark(f"stream-{name.split()[0]}")


def _milliseconds(seconds: float | None) -> str:
    """For a figure; of ratings with a past of their own there is none."""
    return "–" if seconds is None else f"{1000 * seconds:,.0f}"


def _options() -> dict[str, Any]:
    return {
        "animation": False,
        "grid": {"left": 50, "right": 12, "top": 54, "bottom": 40},
        "legend": {"top": 0, "itemWidth": 14, "itemHeight": 8, "icon": "roundRect"},
        "tooltip": {"trigger": "axis", ":valueFormatter": "v => v.toFixed(1) + ' ms'"},
        "xAxis": {
            "type": "category",
            "name": "micro-batch",
            "nameLocation": "middle",
            "nameGap": 26,
            "axisTick": {"show": False},
            "axisLine": {"show": False},
            "data": [],
        },
        "yAxis": {
            "type": "value",
            "name": "ms",
            "splitNumber": 4,
            "splitLine": {"lineStyle": {"color": "rgba(128, 128, 145, 0.22)"}},
        },
        "series": [],
    }
