"""A list whose entries move visibly to their new places."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nicegui import ui
from nicegui.element import Element


class MovingList(Element, component="moving_list.js"):
    """An ordered list of keyed entries; an entry that stays keeps its element and glides.

    Examples
    --------
    ``movies.arrange(["a", "b"], build)`` calls ``build`` for new keys only, inside a list item.
    """

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[str, ui.element] = {}

    def arrange(self, keys: Sequence[str], build: Callable[[str], object]) -> None:
        """Show exactly these distinct keys in this order."""
        for key in [key for key in self._entries if key not in keys]:
            self._entries.pop(key).delete()
        for key in keys:
            if key not in self._entries:
                with self, ui.element("li") as entry:
                    build(key)
                self._entries[key] = entry
        order = [self._entries[key] for key in keys]
        if self.default_slot.children != order:
            self.default_slot.children[:] = order
            self.update()
