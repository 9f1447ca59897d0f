"""What an expected rating adds up from: the mean, you, the film, and taste."""

from __future__ import annotations

from nicegui import ui

from frontend.answers import RatingParts

WORDS = (
    ("mean", "μ", "all ratings’ mean"),
    ("user_bias", "you", "how you rate beside others"),
    ("item_bias", "film", "how this film is rated beside others"),
    ("taste", "taste", "how its factors fit yours"),
)
_WIDEST = 2.0  # stars that fill half the line: more hardly occurs


def breakdown(parts: RatingParts, score: float) -> None:
    """Draw the four parts, each with its sign, and their sum on the scale."""
    with ui.element("dl").classes("parts"):
        for name, word, meaning in WORDS:
            value = float(getattr(parts, name))
            with ui.element("div").classes("part"):
                with ui.element("dt"):
                    ui.label(word).classes("part-word").props["title"] = meaning
                    ui.label(meaning).classes("part-meaning")
                with ui.element("dd"):
                    with ui.element("div").classes("part-track") as track:
                        track.props["aria-hidden"] = "true"
                        if name != "mean":
                            share = min(abs(value) / _WIDEST, 1) * 50
                            left = 50 - share if value < 0 else 50
                            ui.element("div").classes(
                                "part-bar part-minus" if value < 0 else "part-bar"
                            ).style(f"left: {left:.1f}%; width: {share:.1f}%")
                    ui.label(f"{value:.2f}" if name == "mean" else f"{value:+.2f}").classes(
                        "part-value"
                    )
        with ui.element("div").classes("part part-sum"):
            with ui.element("dt"):
                ui.label("together").classes("part-word")
                whole = parts.mean + parts.user_bias + parts.item_bias + parts.taste
                clipped = abs(whole - score) > 0.005
                ui.label(f"{whole:.2f}, kept on the scale" if clipped else "").classes(
                    "part-meaning"
                )
            with ui.element("dd"):
                ui.label(f"{score:.2f} ★").classes("part-value")
