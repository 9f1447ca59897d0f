"""Users kept in memory: as new as the item side, for as long as the change stream is followed."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from predictor.users import User

_OUTDATED = -1

RENEWALS = 4
"""Times that a user is read again without having been asked for in between. Read together with all
others whom a micro-batch changed a user costs a tenth of what reading one for a request does."""

RENEWED_OF_ALL = 5_000
"""Users read again, a hundred at a time, where anybody may have changed, as after a micro-batch
that changed too many to be named: some 150 ms of work for 80 ratings each, in pieces of 3 ms."""

_REMEMBERED_CHANGES = 16  # more than happen while a store answers


@dataclass
class _Kept:
    """A user in memory.

    Attributes
    ----------
    user : User
    row_age, rated_age : int
        What the age was when the row, and the ratings, were read: while it is the same, nothing
        has changed them.
    renewals : int
        Times that the user has been read again since somebody asked for the user.
    """

    user: User
    row_age: int
    rated_age: int
    renewals: int = 0


class Outdated(NamedTuple):
    """Kept users of one model to be read again.

    Attributes
    ----------
    rows : list of str
        Those of whom only the row has changed.
    whole : list of str
        Those of whom the ratings have, too.
    """

    rows: list[str]
    whole: list[str]


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
        # Who changed when, the last first; None: anybody may have.
        self._changed: deque[Collection[str] | None] = deque(maxlen=_REMEMBERED_CHANGES)
        self._outdated: dict[tuple[int, str], None] = {}  # worth reading again, in order
        self._any_outdated = asyncio.Event()
        self.changes = 0
        """Times that anybody may have changed."""

    def follow(self, followed: bool) -> None:
        """Say whether changes are being told from now on."""
        if followed and not self._followed:
            self._forget_all()  # what changed until now was not told
        self._followed = followed

    def forget(
        self, model: int, users: Collection[str] | None, rated: Collection[str] | None = None
    ) -> None:
        """Say that users have changed.

        Parameters
        ----------
        model : int
        users : collection of str or None
            None: any of them may have.
        rated : collection of str or None
            Those of them whose ratings have changed, of the others only the row has; None: any of
            them.
        """
        if users is None:
            self._forget_all()
            self._outdated.update(dict.fromkeys(self._asked_last(model)))
            if self._outdated:
                self._any_outdated.set()
            return
        self._note(users)
        for user in users:
            if (kept := self._kept.get((model, user))) is not None:
                kept.row_age = _OUTDATED
                if kept.renewals < RENEWALS:
                    self._outdated[model, user] = None
        for user in users if rated is None else rated:
            if (kept := self._kept.get((model, user))) is not None:
                kept.rated_age = _OUTDATED
        if self._outdated:
            self._any_outdated.set()

    def _forget_all(self) -> None:
        self._note(None)
        self._age += 1
        self._outdated.clear()

    def _asked_last(self, model: int) -> Iterator[tuple[int, str]]:
        """Those of a model who were asked for last, whom somebody may soon ask for again."""
        last = islice(reversed(self._kept.items()), RENEWED_OF_ALL)
        return (key for key, kept in last if key[0] == model and kept.renewals < RENEWALS)

    def _note(self, users: Collection[str] | None) -> None:
        self.changes += 1
        self._changed.appendleft(users)

    def _unchanged(self, user: str, since: int) -> bool:
        """Whether a user is as `changes` were at some time."""
        times = self.changes - since
        return times <= len(self._changed) and not any(
            changed is None or user in changed
            for changed, _ in zip(self._changed, range(times), strict=False)
        )

    async def any_outdated(self) -> None:
        """Wait until there is somebody to be read again."""
        await self._any_outdated.wait()

    def outdated(self, model: int | None, most: int) -> Outdated:
        """Take up to so many who are to be read again; of other models nobody is any more."""
        found = Outdated([], [])
        for key in list(self._outdated):
            if len(found.rows) + len(found.whole) == most:
                return found
            del self._outdated[key]
            kept = self._kept.get(key)
            if kept is not None and key[0] == model and kept.row_age != self._age:
                # Of whom nobody has wanted the ratings they are not read now either.
                row_alone = kept.rated_age == self._age or kept.user.rated is None
                (found.rows if row_alone else found.whole).append(key[1])
        self._any_outdated.clear()
        return found

    def discard(self, model: int, user: str) -> None:
        """Keep a user no longer, whom no store knows."""
        self._kept.pop((model, user), None)

    def drop(self, users: Collection[str] | None) -> None:
        """Keep users no longer, not even for the time when no store can be asked; None: nobody."""
        # Who is being read at this moment may be read as before.
        gone = None if users is None else set(users)
        self._note(gone)
        if gone is None:
            self._kept.clear()
            return
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
        kept.renewals = 0
        self._kept.move_to_end((model, user))
        return kept.user

    def last(self, model: int, user: str) -> User | None:
        """A user as read last, however long ago."""
        kept = self._kept.get((model, user))
        return None if kept is None else kept.user

    def put(self, model: int, read: User, changes: int) -> None:
        """Keep what has been read for somebody.

        Parameters
        ----------
        model : int
        read : User
            Without ratings where they were not asked for: those kept before remain.
        changes : int
            `changes` as it was before the stores were asked. If the user has changed since, what
            was read may be from before that, and is not kept.
        """
        if not self._capacity or not self._unchanged(read.user, changes):
            return
        self._kept[model, read.user] = self._read(self._kept.get((model, read.user)), read)
        self._kept.move_to_end((model, read.user))
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def renew(self, model: int, read: User, changes: int) -> None:
        """Take what has been read of a kept user whom nobody asked for; as `put` otherwise."""
        before = self._kept.get((model, read.user))
        if before is None or not self._unchanged(read.user, changes):
            return
        self._kept[model, read.user] = kept = self._read(before, read)
        kept.renewals = before.renewals + 1

    def _read(self, before: _Kept | None, read: User) -> _Kept:
        if read.rated is not None:
            return _Kept(read, self._age, self._age)
        if before is None:
            return _Kept(read, self._age, _OUTDATED)
        return _Kept(read.with_ratings_of(before.user), self._age, before.rated_age)

    def ids(self, model: int) -> Iterator[str]:
        """Whose users are kept of a model, in any order."""
        return (user for of, user in self._kept if of == model)
