"""Films in a plane by their factors, coloured by genre, and the visitor among them."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import Any

from nicegui import ui
from nicegui.events import EChartPointClickEventArguments

from frontend.answers import FilmMap, Place
from frontend.panels.fetched import Fetched
from frontend.panels.film_row import FilmRow
from frontend.panels.panel import Panel
from frontend.titles import film_page, readable
from frontend.visit import Visit

FILMS = 400
NEAREST = 10
# Told apart by eyes of any kind as far as eight can be (after Okabe and Ito, 2008), on both
# grounds.
COLOURS = (
    *("#7c5cff", "#e69f00", "#16a085", "#d55e00", "#3b9ddd", "#cc79a7", "#8a9a1b", "#b0483f"),
)
_OTHER, _YOU = "#9a9aa8", "#ff2d78"
# Titles are data: what a tooltip shows is HTML, so everything in it is escaped.
_TOOLTIP = (
    "p => { const safe = t => String(t).replace(/[&<>\"'`]/g, c => '&#' + c.charCodeAt(0) + ';');"
    " return '<b>' + safe(p.data.name) + '</b>' + (p.data.about ? '<br>' + safe(p.data.about) : '')"
    " }"
)


def coloured(places: list[Place], most: int = len(COLOURS)) -> dict[str, list[Place]]:
    """Films by genre: the commonest genres, the rest together; a film counts for its rarest one.

    Of a film's genres the rarest among the common ones says most about it: nearly everything is a
    drama or a comedy.
    """
    counts = Counter(genre for place in places for genre in set(place.genres))
    common = [genre for genre, _ in counts.most_common(most)]
    found: dict[str, list[Place]] = {genre: [] for genre in common}
    found["other"] = []
    for place in places:
        mine = [genre for genre in place.genres if genre in common]
        found[min(mine, key=lambda genre: counts[genre]) if mine else "other"].append(place)
    return {genre: films for genre, films in found.items() if films}


def nearest(found: FilmMap, n: int = NEAREST) -> list[Place]:
    """The films nearest to the visitor on the map; none where the visitor is not on it."""
    you = found.user
    if you is None:
        return []
    return sorted(found.items, key=lambda film: math.hypot(film.x - you.x, film.y - you.y))[:n]


class TasteMapPanels:
    """The map, and beside it the films nearest to the visitor, for those who cannot see it."""

    def __init__(self, visit: Visit, scale: tuple[float, float]) -> None:
        self._visit, self._scale = visit, scale
        self._chart: ui.echart | None = None
        self._rows: list[FilmRow] = []
        self.panel = Panel("map", "Films by their factors", "Asking the model …")
        self._near = Panel("near", "Nearest to you", "Asking the model …")
        self._near.skeleton(NEAREST)
        self._fetched = Fetched(
            visit,
            self.panel,
            lambda: visit.api.film_map(visit.visitor.user, FILMS),
            self._draw,
            rows=12,
            beside=[self._near],
        )
        visit.changed_recommended.connect(self.panel, self._again)
        visit.changed_ratings.connect(self._near, self._show_ratings)

    def load(self) -> asyncio.Task[None]:
        """Fetch what is shown."""
        return self._fetched.load()

    def _again(self) -> None:
        """The visitor has moved: a rating has been learned, or they have become somebody else."""
        if not self._visit.recommended.loading:
            self._fetched.load()

    def _draw(self, found: FilmMap) -> None:
        if not found.items:
            self.panel.say("")
            self._near.say("")
            self._chart = None
            self.panel.message("scatter_plot", "The map begins with the first films rated.")
            self._near.message("scatter_plot", "Nothing yet.")
            return
        self.panel.say(
            f"The {len(found.items)} most rated, near each other where people like both. "
            "Wheel or pinch to zoom, click for the film."
        )
        if self._chart is None:
            self.panel.body.clear()
            with self.panel.body:
                self._chart = ui.echart(_options(), on_point_click=self._clicked)
                self._chart.classes("chart map-chart").mark("map")
                self._chart.props["role"] = "img"
        self._chart.options["series"] = _series(found)
        for axis, name, share in zip(
            ("xAxis", "yAxis"), ("first", "second"), found.explained, strict=False
        ):
            self._chart.options[axis]["name"] = f"{name} direction, {share:.0%} of the variance"
        self._chart.props["aria-label"] = (
            f"Scatter chart of {len(found.items)} films by the main directions of their factors"
            + ("; those nearest to you are in the list beside it" if found.user else "")
        )
        self._chart.update()
        self._draw_nearest(found)

    def _draw_nearest(self, found: FilmMap) -> None:
        films = nearest(found)
        self._rows = []
        if not films:
            self._near.say("")
            self._near.message("person_pin_circle", "Rate a film, and you appear on the map.")
            return
        self._near.say("On this map; rate one and watch yourself move")
        self._near.body.clear()
        with self._near.body, ui.element("ul").classes("films"):
            for film in films:
                with ui.element("li"):
                    self._rows.append(FilmRow(self._visit, film.item, film.title, self._scale))

    def _show_ratings(self) -> None:
        for row in self._rows:
            row.show_rating()

    def _clicked(self, event: EChartPointClickEventArguments) -> None:
        item = event.data.get("item") if isinstance(event.data, dict) else None
        if isinstance(item, str):
            ui.navigate.to(film_page(item))


def _series(found: FilmMap) -> list[dict[str, Any]]:
    most = max((film.ratings for film in found.items), default=1) or 1
    genres = coloured(found.items)
    colours = dict(zip((genre for genre in genres if genre != "other"), COLOURS, strict=False))
    series: list[dict[str, Any]] = [
        {
            "name": genre,
            "type": "scatter",
            "color": colours.get(genre, _OTHER),
            "itemStyle": {"opacity": 0.78, "borderColor": "rgba(255,255,255,.5)", "borderWidth": 1},
            "emphasis": {"focus": "series", "itemStyle": {"opacity": 1}},
            "data": [
                {
                    "value": [film.x, film.y],
                    "name": readable(film.title, film.item).spoken,
                    "about": f"{', '.join(film.genres)} · {film.ratings:,} ratings",
                    "item": film.item,
                    "symbolSize": round(6 + 16 * math.sqrt(film.ratings / most), 1),
                }
                for film in films
            ],
        }
        for genre, films in genres.items()
    ]
    if found.user is not None:
        series.append(
            {
                "name": "you",
                "type": "scatter",
                "color": _YOU,
                "symbol": "pin",
                "symbolSize": 46,
                "z": 10,
                "label": {
                    "show": True,
                    "formatter": "you",
                    "color": "#fff",
                    "fontWeight": 700,
                    "fontSize": 11,
                },
                "data": [{"value": [found.user.x, found.user.y], "name": "You", "about": ""}],
            }
        )
    return series


def _options() -> dict[str, Any]:
    axis: dict[str, Any] = {
        "type": "value",
        "scale": True,
        "nameLocation": "middle",
        "nameGap": 12,
        "nameTextStyle": {"color": "#7d7d8c"},
        "axisLabel": {"show": False},
        "axisTick": {"show": False},
        "axisLine": {"show": False},
        "splitLine": {"lineStyle": {"color": "rgba(128, 128, 145, 0.15)"}},
    }
    return {
        "animationDuration": 300,
        "animationDurationUpdate": 700,
        "grid": {"left": 26, "right": 14, "top": 56, "bottom": 28},
        "legend": {"top": 0, "type": "scroll", "textStyle": {"color": "#7d7d8c"}},
        "tooltip": {"trigger": "item", ":formatter": _TOOLTIP, "confine": True},
        "dataZoom": [{"type": "inside", "xAxisIndex": 0}, {"type": "inside", "yAxisIndex": 0}],
        "xAxis": dict(axis),
        "yAxis": dict(axis),
        "series": [],
    }
