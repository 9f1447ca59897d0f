"""Telling the panels of a page that something has changed, for as long as each panel lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec

from nicegui import ui

P = ParamSpec("P")


class Signal(Generic[P]):
    """Calls what has been connected, each callback inside the element it was connected for.

    NiceGUI's own `Event` drops a subscriber when its *client* goes; panels go earlier, when the
    visitor walks to another page of the same client.
    """

    def __init__(self) -> None:
        self._connected: list[tuple[ui.element, Callable[P, object]]] = []

    def connect(self, element: ui.element, callback: Callable[P, object]) -> None:
        """Call `callback` on every `emit` until `element` is deleted."""
        self._connected.append((element, callback))

    def emit(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call every callback whose element still is there; forget the others."""
        self._connected = [pair for pair in self._connected if lives(pair[0])]
        for element, callback in list(self._connected):
            if lives(element):  # an earlier callback may have deleted it
                with element:
                    callback(*args, **kwargs)

    def __len__(self) -> int:
        return sum(lives(element) for element, _ in self._connected)


def lives(element: ui.element) -> bool:
    """Whether an element still is on a page that is open."""
    try:
        return not element.is_deleted and not element.client.is_deleted
    except RuntimeError:  # the client has been collected
        return False
