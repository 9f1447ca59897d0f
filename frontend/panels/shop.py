"""The shop's film: what has been rated, and how batch ALS and B-SGD fill in the rest."""

from __future__ import annotations

from typing import Any

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from frontend.elements.range_field import RangeField
from frontend.panels.panel import Panel
from frontend.projector import FILM, Projector

SPEEDS = {0.5: "½ ×", 1: "1 ×", 2: "2 ×", 4: "4 ×"}
STEP_SECONDS = 0.2  # at speed 1
# One pixel, seen through: an image without a source is an error to browsers.
_BLANK = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
_ALS, _SGD = "#e0762c", "#7c5cff"


class ShopPanel:
    """The panel with the pictures, the film's controls and the curve of both errors."""

    def __init__(self, projector: Projector) -> None:
        self._projector = projector
        self._step = -1  # none is shown yet
        self._followed = 0  # frames that the page has taken notice of
        self.panel = Panel("shop", "300 customers, 300 products", "The film is being computed …")
        with self.panel.body:
            with ui.element("div").classes("shop-pictures"):
                self._truth = _figure("The shop", "what everyone thinks of everything")
                self._seen = _figure("Seen so far", "–")
                self._als = _figure("Batch ALS", "–")
                self._sgd = _figure("B-SGD, streamed", "–")
            self._truth[0].props["src"] = f"{FILM}/truth.png"
            self._truth[0].props["alt"] = (
                "The whole matrix: rings in the middle, a chessboard with stripes around them"
            )
            self._controls()
            # svg: its texts and lines take their colours from the page's theme
            self._chart = ui.echart(_options(projector.picture.size), renderer="svg")
            self._chart.classes("chart shop-chart").mark("shop-chart")
            self._chart.props["role"] = "img"
            self._chart.props["aria-label"] = "Line chart: RMSE of ALS and of B-SGD by ratings seen"
        self._timer = ui.timer(STEP_SECONDS, self._tick, active=False)
        projector.changed.connect(self.panel, self._on_frame)
        projector.start()
        self._on_frame()

    def _controls(self) -> None:
        with ui.element("div").classes("shop-controls") as controls:
            controls.props["role"] = "group"
            controls.props["aria-label"] = "The film"
            self._play = _button("play_arrow", "Play", self.toggle).mark("shop-play")
            _button("skip_previous", "One step back", lambda: self._by(-1)).mark("shop-back")
            _button("skip_next", "One step on", lambda: self._by(1)).mark("shop-next")
            self._slider = RangeField(
                "Step of the film", 1, self._projector.steps, value=1, on_change=self._slid
            ).mark("shop-slider")
            self._slider.classes("shop-slider")
            self._speed = (
                ui.toggle(SPEEDS, value=1, on_change=self._set_speed)
                .props("no-caps dense unelevated")
                .classes("shop-speed")
                .mark("shop-speed")
            )
            self._speed.props["aria-label"] = "Speed"
            self._speed.props["role"] = "group"
            self._png = ui.link("PNG", f"{FILM}/0/shop.png").classes("btn btn-link")
            self._gif = ui.link("GIF", f"{FILM}/shop.gif").classes("btn btn-link")
            for link, what in ((self._png, "this step"), (self._gif, "the film")):
                link.props["download"] = True
                link.props["aria-label"] = f"Save {what} as {link.text}"

    # The film ------------------------------------------------------------------------------

    def toggle(self) -> None:
        """Play, or pause; from the start again where it has ended."""
        if self._timer.active:
            self._set_playing(False)
            return
        if self._step + 1 >= self._projector.steps:
            self.show(0)
        self._set_playing(True)

    def _set_playing(self, playing: bool) -> None:
        self._timer.active = playing
        self._play.props["icon"] = "pause" if playing else "play_arrow"
        self._play.props["aria-label"] = self._play.props["title"] = "Pause" if playing else "Play"

    def _set_speed(self, event: ValueChangeEventArguments[Any]) -> None:
        self._timer.interval = STEP_SECONDS / event.value

    def _tick(self) -> None:
        if self._step + 1 < len(self._projector.frames):
            self.show(self._step + 1)
        elif self._projector.complete:
            self._set_playing(False)

    def _by(self, steps: int) -> None:
        self._set_playing(False)
        self.show(self._step + steps)

    def _slid(self, step: float) -> None:
        self._set_playing(False)
        self.show(int(step) - 1)

    def show(self, step: int) -> None:
        """Show a step, or the nearest that is ready."""
        frames = self._projector.frames
        if not frames:
            return
        self._step = step = min(max(step, 0), len(frames) - 1)
        moment = frames[step].step
        cells = self._projector.picture.size
        share = moment.ratings / cells
        for kind, (image, caption), text, spoken in (
            ("seen", self._seen, f"{moment.ratings:,} of {cells:,} ratings", "The ratings seen"),
            ("als", self._als, f"RMSE {moment.als_rmse:.1f} of 255", "What ALS predicts"),
            ("sgd", self._sgd, f"RMSE {moment.sgd_rmse:.1f} of 255", "What B-SGD predicts"),
        ):
            image.props["src"] = f"{FILM}/{step}/{kind}.png"
            image.props["alt"] = f"{spoken}: {text}"
            caption.set_text(text)
        self._png.props["href"] = f"{FILM}/{step}/shop.png"
        self._slider.value = step + 1
        self._slider.props["aria-valuetext"] = f"{share:.0%} of the ratings seen"
        self._chart.options["series"][0]["markLine"]["data"] = [{"xAxis": moment.ratings}]
        self._chart.update()

    def _on_frame(self) -> None:
        """Take notice of a frame that has become ready."""
        projector = self._projector
        ready = len(projector.frames)
        if projector.problem is not None:
            self.panel.say(projector.problem, "away")
            with self.panel.tools:
                self.panel.tools.clear()
                ui.button("Try again", on_click=self._again, color=None).props("flat").classes(
                    "btn"
                )
        elif projector.complete:
            self.panel.say("Both see the same ratings; each paints what it predicts for all cells.")
        else:
            self.panel.say(f"Computing the film: {ready} of {projector.steps} steps …")
        self._gif.classes(
            add="" if projector.complete else "is-off",
            remove="is-off" if projector.complete else "",
        )
        self._gif.props["aria-disabled"] = "false" if projector.complete else "true"
        als, sgd = self._chart.options["series"]
        if len(als["data"]) != ready:
            steps = [shown.step for shown in projector.frames]
            als["data"] = [[step.ratings, round(step.als_rmse, 2)] for step in steps]
            sgd["data"] = [[step.ratings, round(step.sgd_rmse, 2)] for step in steps]
            self._chart.update()
        if self._step < 0 and ready:
            self.show(ready - 1 if projector.complete else 0)
            self._set_playing(not projector.complete)

    def _again(self) -> None:
        self.panel.tools.clear()
        self._projector.start()
        self._on_frame()


def _figure(title: str, caption: str) -> tuple[ui.element, ui.label]:
    with ui.element("figure").classes("shop-figure"):
        image = ui.element("img").classes("shop-image").mark("shop-image")
        image.props.update(src=_BLANK, alt="", width=300, height=300)
        with ui.element("figcaption"):
            with ui.element("h3"):
                ui.label(title).classes("inline")
            text = ui.label(caption).classes("shop-caption")
    return image, text


def _button(icon: str, words: str, click: Any) -> ui.button:
    button = ui.button(icon=icon, on_click=click, color=None).props("flat round")
    button.classes("btn-round")
    button.props["aria-label"] = button.props["title"] = words
    return button


def _options(ratings: int) -> dict[str, Any]:
    axis = {"axisLine": {"show": False}, "axisTick": {"show": False}}
    lines: list[dict[str, Any]] = [
        {
            "name": name,
            "type": "line",
            "showSymbol": False,
            "data": [],
            "color": colour,
            "lineStyle": {"width": 2.5},
        }
        for name, colour in (("batch ALS", _ALS), ("B-SGD", _SGD))
    ]
    lines[0]["markLine"] = {
        "symbol": "none",
        "silent": True,
        "animation": False,
        "label": {"show": False},
        "lineStyle": {"color": "#8a8a98", "type": "solid", "width": 1.5},
        "data": [],
    }
    return {
        "animation": False,
        "grid": {"left": 46, "right": 20, "top": 34, "bottom": 40},
        "legend": {"top": 0, "right": 8, "itemWidth": 16, "itemHeight": 8, "icon": "roundRect"},
        "tooltip": {"trigger": "axis", ":valueFormatter": "value => value.toFixed(1) + ' of 255'"},
        "xAxis": {
            "type": "value",
            "name": "ratings seen",
            "nameLocation": "middle",
            "nameGap": 26,
            "min": 0,
            "max": ratings,
            "splitLine": {"show": False},
            "axisLabel": {":formatter": "value => Math.round(value / 1e3) + ' k'"},
            **axis,
        },
        "yAxis": {
            "type": "value",
            "name": "RMSE (of 255)",
            "nameTextStyle": {"align": "left", "padding": [0, 0, 0, -40]},
            "splitNumber": 4,
            "min": 0,
            "splitLine": {"lineStyle": {"color": "rgba(128, 128, 145, 0.22)"}},
            **axis,
        },
        "series": lines,
    }
