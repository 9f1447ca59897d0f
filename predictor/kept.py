"""Users kept in memory: as new as the item side, for as long as the change stream is followed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from predictor.users import User

_OUTDATED = -1


@dataclass
class _Kept:
    """A user in memory.

    Attributes
    ----------
    user : User
    row_age, rated_age : int
        What the age was when the row, and the ratings, were read: while it is the same, nothing
        has changed them.
    """

    user: User
    row_age: int
    rated_age: int


class KeptUsers:
    """The users read last.

    The change stream names the users whom each micro-batch changed. Who follows it says so here
    (`forget`) in the moment in which the item side changes, and so a kept user is current exactly
    as far as an answer's `as_of` says. While nobody follows it none is; then they only serve where
    no store can be asked (`last`).

    Parameters
    ----------
    capacity : int
        Users kept at most.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[tuple[int, str], _Kept] = OrderedDict()
        self._age = 0  # times that everybody may have changed
        self._followed = False
        self.changes = 0
        """Times that anybody may have changed."""

    def follow(self, followed: bool) -> None:
        """Say whether changes are being told from now on."""
        if followed and not self._followed:
            self._forget_all()  # what changed until now was not told
        self._followed = followed

    def forget(self, model: int, users: Iterable[str] | None) -> None:
        """Say that users have changed.

        Parameters
        ----------
        model : int
        users : iterable of str or None
            None: any of them may have.
        """
        if users is None:
            self._forget_all()
            return
        self.changes += 1
        for user in users:
            kept = self._kept.get((model, user))
            if kept is not None:
                kept.row_age = kept.rated_age = _OUTDATED

    def _forget_all(self) -> None:
        self.changes += 1
        self._age += 1

    def discard(self, model: int, user: str) -> None:
        """Keep a user no longer, whom no store knows."""
        self._kept.pop((model, user), None)

    def drop(self, users: Iterable[str] | None) -> None:
        """Keep users no longer, not even for the time when no store can be asked; None: nobody."""
        self.changes += 1  # who is being read at this moment may be read as before
        if users is None:
            self._kept.clear()
            return
        gone = set(users)
        for key in [key for key in self._kept if key[1] in gone]:
            del self._kept[key]

    def current(self, model: int, user: str, with_ratings: bool) -> User | None:
        """A user as the stores have it, or None where they must be asked."""
        if not self._followed:
            return None
        kept = self._kept.get((model, user))
        if kept is None or kept.row_age != self._age:
            return None
        if with_ratings and kept.rated_age != self._age:
            return None
        self._kept.move_to_end((model, user))
        return kept.user

    def last(self, model: int, user: str) -> User | None:
        """A user as read last, however long ago."""
        kept = self._kept.get((model, user))
        return None if kept is None else kept.user

    def put(self, model: int, read: User, changes: int) -> None:
        """Keep what has been read.

        Parameters
        ----------
        model : int
        read : User
            Without ratings where they were not asked for: those kept before remain.
        changes : int
            `changes` as it was before the stores were asked. If anybody has changed since, the
            user may be from before that, and is not kept.
        """
        if not self._capacity or changes != self.changes:
            return
        before = self._kept.pop((model, read.user), None)
        kept = _Kept(read, self._age, self._age)
        if read.rated is None:
            kept.rated_age = _OUTDATED if before is None else before.rated_age
            kept.user = read if before is None else replace(read, rated=before.user.rated)
        self._kept[model, read.user] = kept
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def ids(self, model: int) -> Iterator[str]:
        """Whose users are kept of a model, in any order."""
        return (user for of, user in self._kept if of == model)
