"""Axes that several charts have."""

from __future__ import annotations

from typing import Any

BARE: dict[str, Any] = {"axisLine": {"show": False}, "axisTick": {"show": False}}
"""An axis without a line of its own."""


def error_axis(name: str) -> dict[str, Any]:
    """The vertical axis of errors in stars, from about the lowest to the highest."""
    return {
        "type": "value",
        "name": name,
        "nameTextStyle": {"align": "left", "padding": [0, 0, 0, -40]},
        "scale": True,
        "splitNumber": 4,
        "splitLine": {"lineStyle": {"color": "rgba(128, 128, 145, 0.22)"}},
        "axisLabel": {":formatter": "value => value.toFixed(2)"},
        **BARE,
    }
