"""The browser's own slider: Quasar's has its role on one element and the keyboard on another."""

from __future__ import annotations

import math
from collections.abc import Callable

from nicegui.element import Element
from nicegui.events import GenericEventArguments


class RangeField(Element):
    """A value between two bounds, by mouse, touch or keyboard.

    Parameters
    ----------
    label : str
        For screen readers.
    lowest, highest, step, value : float
    on_change : callable
        Called with what a person has chosen; not with what the program sets.
    settled : bool
        Whether to call only once the person lets go, instead of at each place on the way.
    """

    def __init__(
        self,
        label: str,
        lowest: float,
        highest: float,
        *,
        step: float = 1,
        value: float,
        on_change: Callable[[float], object],
        settled: bool = False,
    ) -> None:
        super().__init__("input")
        self.classes("range")
        self._lowest, self._highest = lowest, highest
        self._on_change = on_change
        self.props.update(type="range", min=lowest, max=highest, step=step, value=value)
        self.props["aria-label"] = label
        self.on(
            "change" if settled else "input",
            self._changed,
            js_handler="(event) => emit(Number(event.target.value))",
        )

    @property
    def value(self) -> float:
        """What is shown."""
        return float(self.props["value"])

    @value.setter
    def value(self, value: float) -> None:
        self.props["value"] = value

    def _changed(self, event: GenericEventArguments) -> None:
        value = event.args
        # Browsers send what they like.
        if not isinstance(value, int | float) or not math.isfinite(value):
            return
        self.props["value"] = min(max(value, self._lowest), self._highest)
        self._on_change(self.value)
