"""The stream in figures: how much has been learned, how fast, how fresh."""

from __future__ import annotations

from nicegui import ui

from frontend.panels.panel import Panel
from frontend.series import recent
from frontend.visit import Visit


class FiguresPanel:
    """The panel of figures; each has its unit."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._values: dict[str, ui.label] = {}
        self.panel = Panel("figures", "The stream now", "Reading the measurements …")
        with self.panel.body, ui.element("dl").classes("figures"):
            for name in (
                "ratings per second",
                "ratings learned",
                "waiting in the log",
                "s since commit",
                "users",
                "films",
                "RMSE of late, stars",
                "MAE of late, stars",
            ):
                with ui.element("div").classes("figure"):
                    with ui.element("dt"):
                        ui.label(name)
                    with ui.element("dd"):
                        self._values[name] = ui.label("–").mark("figure-" + name.split()[0])
        visit.feed.changed.connect(self.panel, self.show)
        self.show()

    def show(self) -> None:
        """Show the latest reading."""
        feed = self._visit.feed
        if feed.problem is not None:
            self.panel.say("The predictor is away; these are the last figures known.", "away")
        if feed.model is None:
            return
        model = feed.model
        if feed.problem is None:
            self.panel.say(
                f"Model {model.model}, {model.status or 'not serving yet'}, "
                f"micro-batch {model.as_of.batch:,}"
            )
        late = recent(model.series)
        age = model.as_of.age(self._visit.clock.now())
        for name, text in {
            "ratings per second": f"{feed.rate:,.0f}",
            "ratings learned": f"{model.counts.ratings:,}",
            "waiting in the log": "–" if model.lag is None else f"{model.lag:,}",
            "s since commit": "–" if age is None else f"{age:,.1f}",
            "users": f"{model.counts.users:,}",
            "films": f"{model.counts.items:,}",
            "RMSE of late, stars": "–" if late is None else f"{late.rmse:.3f}",
            "MAE of late, stars": "–" if late is None else f"{late.mae:.3f}",
        }.items():
            self._values[name].set_text(text)
