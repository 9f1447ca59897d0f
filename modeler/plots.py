"""Pictures of figures, drawn off screen, in colours that the colour-blind can tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure

from recommender.bootstrap import Interval

# Okabe and Ito (2008).
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999"),
)
_STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=COLOURS),
    "figure.dpi": 110,
    "svg.hashsalt": "recommender",  # the same figures give the same file
}


def figure(width: float, height: float) -> Figure:
    """An empty picture, in inches."""
    with mpl.rc_context(_STYLE):
        return Figure(figsize=(width, height), layout="constrained")


def intervals(figures: Mapping[str, Mapping[str, Interval]], unit: str) -> Figure:
    """One panel a figure: each method's value with its interval.

    Parameters
    ----------
    figures : mapping of str to mapping of str to Interval
        By figure, then by method.
    unit : str
        Of all of them; empty for shares.
    """
    names = list(next(iter(figures.values())))
    with mpl.rc_context(_STYLE):
        drawn = Figure(figsize=(3.2 * len(figures), 1.2 + 0.4 * len(names)), layout="constrained")
        panels = drawn.subplots(1, len(figures), sharey=True, squeeze=False)[0]
        for panel, (title, found) in zip(panels, figures.items(), strict=True):
            for place, (name, one) in enumerate(found.items()):
                colour = COLOURS[place % len(COLOURS)]
                panel.plot([one.low, one.high], [place, place], color=colour, linewidth=2)
                panel.plot([one.value], [place], "o", color=colour, label=name)
            panel.set_title(title)
            panel.set_xlabel(unit)
            panel.grid(axis="x", alpha=0.3)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].invert_yaxis()
    return drawn


def deciles(methods: Mapping[str, Sequence[float]]) -> Figure:
    """Share of the lists' places by popularity decile, a bar for each method."""
    with mpl.rc_context(_STYLE):
        drawn = Figure(figsize=(8, 3.6), layout="constrained")
        panel = drawn.subplots()
        width = 0.8 / max(len(methods), 1)
        for place, (name, shares) in enumerate(methods.items()):
            where = np.arange(1, len(shares) + 1) - 0.4 + width * (place + 0.5)
            panel.bar(where, shares, width, label=name, color=COLOURS[place % len(COLOURS)])
        panel.axhline(0.1, color="#555555", linestyle="--", linewidth=1)
        panel.set_xticks(range(1, 11))
        panel.set_xlabel("tenth of the items, the most rated first")
        panel.set_ylabel("share of the places")
        panel.legend()
    return drawn


def scatter(points: Mapping[str, tuple[float, float]], across: str, up: str) -> Figure:
    """Each method at two of its figures."""
    with mpl.rc_context(_STYLE):
        drawn = Figure(figsize=(5.5, 3.6), layout="constrained")
        panel = drawn.subplots()
        for place, (name, (x, y)) in enumerate(points.items()):
            panel.plot([x], [y], "o", color=COLOURS[place % len(COLOURS)])
            panel.annotate(name, (x, y), textcoords="offset points", xytext=(6, 4))
        panel.set_xlabel(across)
        panel.set_ylabel(up)
        panel.margins(0.2)
        panel.grid(alpha=0.3)
    return drawn


Limits = tuple[tuple[float, float], dict[str, tuple[float, float]]]


def limits(
    ratings: Sequence[int],
    values: Mapping[str, Sequence[float]],
    lines: Mapping[str, Mapping[str, float]],
) -> Limits:
    """Axes that hold everything: across, and up for each figure."""
    up = {}
    for name, found in values.items():
        seen = np.array([*found, *(line[name] for line in lines.values())])
        low, high = np.nanmin(seen), np.nanmax(seen)
        margin = 0.06 * max(high - low, 1e-3)
        up[name] = (float(low - margin), float(high + margin))
    return (0.0, float(ratings[-1])), up


def curves(
    ratings: Sequence[int],
    values: Mapping[str, Sequence[float]],
    lines: Mapping[str, Mapping[str, float]],
    figures: Mapping[str, str],
    axes: Limits | None = None,
    title: str = "",
) -> Figure:
    """The streaming model's figures over the ratings learned, batch models as dashed lines.

    Parameters
    ----------
    ratings : sequence of int
    values : mapping of str to sequence of float
        By figure; NaN where it was not looked at.
    lines : mapping of str to mapping of str to float
        By batch method, then by figure.
    figures : mapping of str to str
        Name to what stands at the axis; one panel each.
    axes : Limits, optional
        Of `limits`; unset: what these values need.
    """
    across, up = axes or limits(ratings, values, lines)
    with mpl.rc_context(_STYLE):
        drawn = Figure(figsize=(5.2 * len(figures), 3.6), layout="constrained")
        panels = drawn.subplots(1, len(figures), squeeze=False)[0]
        for panel, (name, label) in zip(panels, figures.items(), strict=True):
            seen = [(x, y) for x, y in zip(ratings, values[name], strict=True) if not np.isnan(y)]
            if seen:
                panel.plot(*zip(*seen, strict=True), color=COLOURS[0], label="stream")
            for place, (method, found) in enumerate(lines.items(), start=1):
                panel.axhline(found[name], color=COLOURS[place], linestyle="--", label=method)
            panel.set_xlim(across)
            panel.set_ylim(up[name])
            panel.set_xlabel("ratings streamed")
            panel.set_ylabel(label)
            panel.grid(alpha=0.3)
        handles, labels = panels[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper center", ncols=len(labels), title=title)
    return drawn
