"""One item side for several worker processes: one of them follows the stores, all serve from it.

Who holds a lock on a file writes: loads, follows and changes the arrays, which lie in memory that
all share (`predictor.shared_arrays`). The others are told of each change (`predictor.exchange`).
When the one that writes is gone, the lock is free, and another takes over: it goes on serving what
is there, and loads it anew, since a change may have been left half done.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from predictor import metrics
from predictor.attributes import AttributeIndex
from predictor.exchange import Message, Receiver, Sender
from predictor.follower import Follower
from predictor.served import Served
from predictor.shared_arrays import share

log = structlog.get_logger(__name__)

LOCK = "writer.lock"
SOCKET = "writer.socket"

_PAUSE = 0.3  # seconds until a try to take over: where all are being stopped, none should begin
_GAUGES = 1.0  # seconds between two values of what changes with time
_NEWS = 0.5  # seconds between two looks at what is told beside the state


_UsersChanged = tuple[int, set[str] | None, set[str] | None]


@dataclass
class News:
    """What readers are told in few words.

    Attributes
    ----------
    current : bool
    lag : int or None
    followed : bool
        Whether changes of users are being told.
    """

    current: bool
    lag: int | None
    followed: bool


@dataclass
class _State:
    """What readers are told with each change.

    Attributes
    ----------
    news : News
    served : Served or None
    attributes : AttributeIndex or None
        None: as before.
    renamed : (m,) intp, or None
        Positions whose titles have changed; None: all may have.
    users : list of (model, users, rated)
        Who has changed since the last state, as `KeptUsers.forget` is told it.
    withdrawn : list
        Who has taken back ratings since.
    """

    news: News
    served: Served | None
    attributes: AttributeIndex | None
    renamed: Any = None
    users: list[_UsersChanged] = field(default_factory=list)
    withdrawn: list[list[str] | None] = field(default_factory=list)


class SharedFollower(Follower):
    """A `Follower` in each of several processes, of which one follows.

    Parameters
    ----------
    directory : Path
        Where these processes, and no others, meet.
    *arguments, **named
        As for `Follower`.
    """

    def __init__(self, directory: Path, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._directory = directory
        self._sender: Sender | None = None
        self._followed = False
        self._users: list[_UsersChanged] = []
        self._gone: list[list[str] | None] = []
        self._told_of: Served | None = None
        self._told_changes = -1
        self._joined = False
        self._attached = asyncio.Event()

    async def attach(self, seconds: float) -> None:
        """Wait until this process has something to serve or is the one to load it; not longer."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._attached.wait(), seconds)

    async def run(self) -> None:
        """Write or read, for ever."""
        lock = os.open(self._directory / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        gauges = asyncio.create_task(self._set_gauges())
        try:
            while True:
                if _locked(lock):
                    await self._write()
                await self._read()
                await asyncio.sleep(_PAUSE)
        finally:
            gauges.cancel()
            os.close(lock)

    async def _set_gauges(self) -> None:
        """Those that a process alone works out when it is asked: another one may be asked."""
        while True:
            metrics.WORKERS.set(self.loaded)
            metrics.AGE.set(self._age())
            metrics.LAG.set(np.nan if self.lag is None else self.lag)
            await asyncio.sleep(_GAUGES)

    # --- the one that writes ---------------------------------------------------------------------

    async def _write(self) -> None:
        self._read_all = True
        self._sender = Sender(self._directory / SOCKET, self._state)
        self._attached.set()
        telling = asyncio.create_task(self._tell_news(self._sender))
        try:
            await super().run()
        finally:
            telling.cancel()
            self._sender.close()

    def _changing(self) -> AbstractAsyncContextManager[None]:
        return super()._changing() if self._sender is None else self._sender.change()

    async def _prepare(self, holders: list[object]) -> None:
        # Copying a large model takes a second; a change itself finds little left to share.
        await asyncio.to_thread(share, holders)

    def _state(self, somebody_new: bool) -> _State:
        served = self._served
        if served is None:
            return _State(self._news(), None, None)
        share(served.holders)
        renamed = served.catalogue.take_renamed()
        same = self._told_of is served and not somebody_new
        state = _State(
            self._news(),
            served,
            None if same and served.attributes.changes == self._told_changes else served.attributes,
            renamed if same else None,
        )
        if not somebody_new:
            state.users, self._users = self._users, []
            state.withdrawn, self._gone = self._gone, []
            self._told_of, self._told_changes = served, served.attributes.changes
        return state

    def _news(self) -> News:
        return News(self.current, self.lag, self._followed)

    async def _tell_news(self, sender: Sender) -> None:
        told = self._news()
        while True:
            await asyncio.sleep(_NEWS)
            if (news := self._news()) != told:
                sender.tell(news)
                told = news

    def _users_changed(self, model: int, users: set[str] | None, rated: set[str] | None) -> None:
        super()._users_changed(model, users, rated)
        self._users.append((model, users, rated))

    def _withdrawn(self, users: list[str] | None) -> None:
        super()._withdrawn(users)
        self._gone.append(users)

    def _follow_users(self, followed: bool) -> None:
        super()._follow_users(followed)
        self._followed = followed

    # --- those who read --------------------------------------------------------------------------

    async def _read(self) -> None:
        """Until the one that writes is gone; at once where there is none."""
        try:
            receiver = Receiver(self._directory / SOCKET, self._take)
        except OSError:
            return
        self._joined = False
        try:
            await receiver.lost
        finally:
            receiver.close()
            self._take_news(News(False, None, False))

    def _take(self, message: Message) -> None:
        if isinstance(message.content, _State):
            self._take_state(message.content)
        else:
            self._take_news(message.content)

    def _take_state(self, state: _State) -> None:
        if not self._joined:
            self._forget(None)  # who has taken back ratings meanwhile has not been told here
            self._joined = True
        for model, users, rated in state.users:
            self._kept.forget(model, users, rated)
        for withdrawn in state.withdrawn:
            self._forget(withdrawn)
        before, served = self._served, state.served
        if served is not None:
            served.attributes = state.attributes or (
                before.attributes if before else AttributeIndex()
            )
            if before is not None and state.renamed is not None:
                served.catalogue.search_as(before.catalogue, state.renamed)
            self._served = served
            self._show(served)
            self._attached.set()
        self._take_news(state.news)
        # Who waits for a record is told in a task of its own: this is no coroutine.
        self._telling = asyncio.ensure_future(self._notify())

    def _take_news(self, news: News) -> None:
        self._set_current(news.current)
        self.lag = news.lag
        self._kept.follow(news.followed)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
