"""How far the loading of a model has come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Progress:
    """How much of a model has been loaded.

    Attributes
    ----------
    items : int
    of : int
        Items that it has by an estimate; 0: not known.
    """

    items: int = 0
    of: int = 0

    def read(self, items: int, of: int) -> None:
        """Say how many items have been read."""
        self.items, self.of = items, of

    def __str__(self) -> str:
        if not self.items:
            return "nothing has been loaded from Postgres yet"
        of = f" of about {self.of:,}" if self.of else ""
        return f"{self.items:,}{of} items have been loaded"
