"""Stars that can be given in halves, by mouse, touch or keyboard."""

from __future__ import annotations

import math
from collections.abc import Callable

from nicegui.element import Element
from nicegui.events import GenericEventArguments

# More stars than this are no longer counted at a glance; wider scales share them out.
MOST_STARS = 10


class Stars(Element, component="stars.js"):
    """A rating in place.

    Parameters
    ----------
    label : str
        For screen readers, e.g. ``Rate Heat (1995)``; data, never markup.
    value : float, optional
        The rating given so far.
    lowest, highest : float
        The scale; one star is worth ``highest / count``, halves can be given.
    on_rate : callable, optional
        Called with the new rating.
    """

    def __init__(
        self,
        label: str,
        value: float | None = None,
        *,
        lowest: float = 0.5,
        highest: float = 5.0,
        on_rate: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__()
        self._lowest, self._highest = lowest, highest
        self._on_rate = on_rate
        self.props["label"] = label
        self.props["value"] = value
        self.props["lowest"] = lowest
        self.props["highest"] = highest
        self.props["count"] = max(1, min(math.ceil(highest), MOST_STARS))
        self.on("rate", self._rated)

    @property
    def value(self) -> float | None:
        """The rating that is shown."""
        value = self.props["value"]
        return None if value is None else float(value)

    @value.setter
    def value(self, value: float | None) -> None:
        if self.props["value"] != value:
            self.props["value"] = value
            if value is None:
                # Taken back. Given and taken back within one message to the browser, the value
                # would not change there, and what it shows in advance would stay.
                self.run_method("reset")

    def _rated(self, event: GenericEventArguments) -> None:
        value = event.args
        # Browsers send what they like; a rating off the scale is not passed on.
        if (
            self._on_rate is not None
            and isinstance(value, int | float)
            and self._lowest <= value <= self._highest
        ):
            self.props["value"] = float(value)
            self._on_rate(float(value))
