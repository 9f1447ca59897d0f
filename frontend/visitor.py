"""Who a visitor is, kept on the server under a signed cookie: survives a reload and a restart."""

from __future__ import annotations

import secrets
from collections.abc import MutableMapping
from typing import Any

from frontend.waiting import Waiting
from frontend.wishes import Wishes


class Visitor:
    """A view of one visitor's storage.

    Parameters
    ----------
    storage : mapping
        What is kept, JSON types only; ``app.storage.user`` of NiceGUI.
    """

    def __init__(self, storage: MutableMapping[str, Any]) -> None:
        self._storage = storage
        if not isinstance(storage.get("user"), str):
            self.become_new()

    @property
    def user(self) -> str:
        """The id that this visitor rates as."""
        return str(self._storage["user"])

    @property
    def is_new(self) -> bool:
        """Whether the id was made here, for a new person."""
        return bool(self._storage.get("new"))

    def become_new(self) -> None:
        """Take an id that nobody has."""
        self._storage.update(user=f"visitor-{secrets.token_hex(5)}", new=True)

    def become(self, user: str) -> None:
        """Take an existing id."""
        self._storage.update(user=user, new=False)

    @property
    def dark(self) -> bool | None:
        """Dark, light, or None: as the machine prefers."""
        dark = self._storage.get("dark")
        return dark if isinstance(dark, bool) else None

    @dark.setter
    def dark(self, value: bool | None) -> None:
        self._storage["dark"] = value

    @property
    def wishes(self) -> Wishes:
        """What the list of recommendations should be like."""
        return Wishes.restored(self._storage.get("wishes"))

    @wishes.setter
    def wishes(self, wishes: Wishes) -> None:
        self._storage["wishes"] = wishes.stored()

    @property
    def waiting(self) -> list[Waiting]:
        """Ratings not learned yet, in the order they were given, whoever gave them here."""
        return [Waiting(**entry) for entry in self._storage.get("waiting", [])]

    @waiting.setter
    def waiting(self, ratings: list[Waiting]) -> None:
        self._storage["waiting"] = [rating._asdict() for rating in ratings]
