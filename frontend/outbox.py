"""What a visitor has given and is not in the log yet: sent once, however many pages are open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

from frontend.answers import Record
from frontend.api import Api
from frontend.signal import Signal
from frontend.visitor import Visitor
from frontend.waiting import Waiting
from recommender.errors import InvalidInput, Unavailable


class Outbox:
    """The ratings of one visitor on their way to the log; all of a visitor's pages share it.

    Were each page to send by itself, a page that was left a moment ago and the one that replaced it
    would both send what waits. The event ids make that harmless, but an order that was right once
    would not stay so.

    Parameters
    ----------
    api : Api
    visitor : Visitor
        Keeps what waits.

    Attributes
    ----------
    problem : str or None
        Why ingest does not take what waits.
    sent : Signal
        Emitted when all that could be sent has been, with the last that was and its record.
    refused : Signal
        Emitted with what ingest will never take, and why.
    changed : Signal
        Emitted after each attempt, whatever became of it.
    """

    def __init__(self, api: Api, visitor: Visitor) -> None:
        self._api = api
        self._visitor = visitor
        self._sending = asyncio.Lock()
        self.problem: str | None = None
        self.sent: Signal[[Waiting, Record]] = Signal()
        self.refused: Signal[[Waiting, str]] = Signal()
        self.changed: Signal[[]] = Signal()

    @property
    def unsent(self) -> list[Waiting]:
        """Ratings that are not in the log yet, oldest first."""
        return [given for given in self._visitor.waiting if given.record is None]

    @property
    def busy(self) -> bool:
        """Whether something is being sent now."""
        return self._sending.locked()

    async def send(self) -> None:
        """Send what waits, oldest first, until nothing does or ingest is away."""
        last: tuple[Waiting, Record] | None = None
        async with self._sending:
            while unsent := self.unsent:
                first = unsent[0]
                try:
                    record = await self._send(first)
                except Unavailable as error:
                    self.problem = str(error)
                    break
                except InvalidInput as error:
                    self._replace(first, [])
                    self.refused.emit(first, str(error))
                else:
                    self.problem = None
                    last = first, record
                    there = first._replace(partition=record.partition, offset=record.offset)
                    self._replace(first, [there])
        self.changed.emit()
        if last is not None:
            self.sent.emit(*last)

    async def _send(self, given: Waiting) -> Record:
        if given.rating is None:
            return await self._api.undo(given.user, given.item, event_id=given.event_id)
        return await self._api.rate(
            given.user,
            given.item,
            given.rating,
            timestamp=given.timestamp,
            event_id=given.event_id,
        )

    def _replace(self, given: Waiting, by: list[Waiting]) -> None:
        waiting = self._visitor.waiting
        if given in waiting:  # or the visitor has been forgotten meanwhile
            place = waiting.index(given)
            self._visitor.waiting = [*waiting[:place], *by, *waiting[place + 1 :]]


class Outboxes:
    """Each visitor's outbox, for as long as one of the visitor's pages is open."""

    def __init__(self) -> None:
        self._open: WeakValueDictionary[str, Outbox] = WeakValueDictionary()

    def of(self, browser: str, make: Callable[[], Outbox]) -> Outbox:
        """The outbox of a browser, made where there is none.

        Parameters
        ----------
        browser : str
            The id under which its storage is kept.
        make : callable
        """
        outbox = self._open.get(browser)
        if outbox is None:
            self._open[browser] = outbox = make()
        return outbox
