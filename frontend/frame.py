"""What is around every page: the ways to go, the light, and where the data comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nicegui import ui

from frontend.pages import Page
from frontend.visit import Visit

STATIC = Path(__file__).parent / "static"
_LIGHTS: dict[bool | None, tuple[str, str]] = {
    None: ("brightness_auto", "as the machine prefers"),
    False: ("light_mode", "light"),
    True: ("dark_mode", "dark"),
}


def add_head() -> None:
    """The style sheet and the icon; both come from this folder."""
    ui.add_css(STATIC / "style.css")
    ui.colors(primary="#6d4aff", accent="#f5a700", positive="#1f9d61", warning="#a65b00")


def header(visit: Visit, pages: Sequence[Page]) -> Callable[[Page], None]:
    """The header: name, pages (where there is more than one), state of the stream, the light.

    Returns what is to be called with the page that is shown.
    """
    ways: dict[str, ui.link] = {}
    dark = ui.dark_mode(visit.visitor.dark)
    with ui.element("header").classes("top"):
        skip = ui.link("Skip to the content", "#content").classes("skip")
        skip.props["tabindex"] = "0"
        with ui.element("div").classes("brand"):
            ui.html(
                '<svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">'
                '<rect width="32" height="32" rx="9" fill="#6d4aff"/>'
                '<path d="M7 22 L13 14 L18 18 L25 8" fill="none" stroke="#fff" stroke-width="3"'
                ' stroke-linecap="round" stroke-linejoin="round"/>'
                '<circle cx="25" cy="8" r="3.2" fill="#ffc533"/></svg>',
                sanitize=False,  # a constant of this file
            )
            ui.label("Recommender").classes("brand-name")
        if len(pages) > 1:
            with ui.element("nav").classes("ways") as nav:
                nav.props["aria-label"] = "Pages"
                for page in [page for page in pages if page.listed]:
                    ways[page.path] = ui.link(page.title, page.path).classes("way")
        ui.element("div").classes("space")
        pulse = ui.label("connecting …").classes("pulse").mark("pulse")
        light = ui.button(icon=_LIGHTS[dark.value][0], color=None)
        light.props("flat round dense").classes("btn-round").mark("light")

    def show_light() -> None:
        icon, words = _LIGHTS[visit.visitor.dark]
        light.props["icon"] = icon
        light.props["aria-label"] = f"Light: {words}. Change it."
        light.props["title"] = f"Light: {words}"

    def next_light() -> None:
        ways_on: dict[bool | None, bool | None] = {None: True, True: False, False: None}
        visit.visitor.dark = ways_on[visit.visitor.dark]
        dark.value = visit.visitor.dark
        show_light()

    def show_pulse() -> None:
        feed = visit.feed
        if feed.problem is not None:
            pulse.set_text("predictor away")
            pulse.classes(replace="pulse pulse-away")
            pulse.props["title"] = feed.problem
        elif feed.model is not None:
            rate = feed.rate
            pulse.set_text(f"{rate:,.0f} ratings/s" if rate >= 0.5 else "listening")
            pulse.classes(replace="pulse pulse-live" if rate >= 0.5 else "pulse pulse-idle")
            age = feed.model.as_of.age(visit.clock.now())
            pulse.props["title"] = (
                f"Model {feed.model.model}, {feed.model.counts.ratings:,} ratings learned"
                + ("" if age is None else f", the last ones {age:.0f} s ago")
            )

    light.on_click(next_light)
    show_light()
    visit.feed.changed.connect(pulse, show_pulse)
    show_pulse()

    def here(page: Page) -> None:
        for path, way in ways.items():
            if path == page.path:
                way.classes(add="here")
                way.props["aria-current"] = "page"
            else:
                way.classes(remove="here")
                way.props.pop("aria-current", None)

    return here


def footer(visit: Visit) -> None:
    """Where the data comes from, in the words of the model; generated data is said to be so."""
    with ui.element("footer").classes("bottom"):
        data = ui.label("").classes("data").mark("data")
        counts = ui.label("").classes("counts").mark("counts")

    def show() -> None:
        model = visit.feed.model
        if model is None:
            return
        generated = "generated" in model.data.lower()
        data.set_text(f"Data: {model.data}" if model.data else "Data: not described")
        data.classes(replace="data data-generated" if generated else "data")
        c = model.counts
        counts.set_text(f"{c.users:,} users · {c.items:,} films · {c.ratings:,} ratings learned")

    visit.feed.changed.connect(data, show)
    show()
