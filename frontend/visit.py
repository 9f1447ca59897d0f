"""One open page of one visitor: what has been rated, what is recommended, what is under way.

Holds state and does the talking; the panels only show it and call it.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from nicegui import background_tasks, ui

from frontend.answers import AsOf, Item, ItemList, Record
from frontend.api import Api
from frontend.feed import ModelFeed
from frontend.outbox import Outbox
from frontend.signal import Signal
from frontend.visitor import Visitor
from frontend.waiting import Waiting
from frontend.wishes import Wishes
from recommender.clock import SYSTEM_CLOCK, Clock
from recommender.errors import InvalidInput, RecommenderError, Unavailable

RECOMMENDATIONS = 10
# A rating in the log that is not learned for so long belongs to a log that is no more.
FORGET_AFTER = 600.0  # seconds


@dataclass(frozen=True)
class Rated:
    """A rating of this visitor, as far as this page knows."""

    title: str | None
    rating: float


@dataclass
class Recommended:
    """The list that is shown, and how fresh it is.

    Attributes
    ----------
    list : ItemList or None
        None until the first answer.
    expected : dict
        Item → the rating that the model expects, with its parts; filled in after the list.
    problem : str or None
        Why there is no newer list.
    loading : bool
        Whether a newer list is on its way.
    learned : tuple of (str or None, str, float), optional
        Title, item and the seconds from the click to the list that knows of it.
    awaited : Record or None
        A rating in the log that the model has not learned yet.
    """

    list: ItemList | None = None
    expected: dict[str, Item] = field(default_factory=dict)
    problem: str | None = None
    loading: bool = True
    learned: tuple[str | None, str, float] | None = None
    awaited: Record | None = None


class Visit:
    """The state behind one open page.

    Parameters
    ----------
    api, feed
        Shared by all pages.
    visitor : Visitor
        Who looks.
    outbox : Outbox
        Of this visitor, shared by all of the visitor's pages.
    clock : Clock
        Of the ratings' timestamps.
    """

    def __init__(
        self,
        api: Api,
        feed: ModelFeed,
        visitor: Visitor,
        outbox: Outbox,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.api = api
        self.feed = feed
        self.visitor = visitor
        self.outbox = outbox
        self.clock = clock
        self.ratings: dict[str, Rated] = {}  # latest first
        self.ratings_problem: str | None = None
        self.ratings_loaded = False
        self._forget_old()
        self.recommended = Recommended(awaited=self._last_record())
        self.changed_user: Signal[[]] = Signal()
        self.changed_ratings: Signal[[]] = Signal()
        self.changed_recommended: Signal[[]] = Signal()
        self.refused: Signal[[str, str]] = Signal()  # item, why
        self._user = visitor.user
        self._refreshing: asyncio.Task[None] | None = None
        self._clicked: dict[str, float] = {}  # event id to the event loop's time, of this page

    def attach(self, page: ui.element) -> None:
        """Follow the feed and the outbox for as long as the page lives."""
        self.feed.changed.connect(page, self.on_feed)
        self.outbox.changed.connect(page, self.changed_ratings.emit)
        self.outbox.sent.connect(page, self._on_sent)
        self.outbox.refused.connect(page, self._on_refused)

    def _last_record(self) -> Record | None:
        mine = [w.record for w in self._mine() if w.record is not None]
        return mine[-1] if mine else None

    def _mine(self) -> list[Waiting]:
        return [w for w in self.visitor.waiting if w.user == self.visitor.user]

    def _forget_old(self) -> None:
        oldest = self.clock.now() - FORGET_AFTER
        self.visitor.waiting = [
            w for w in self.visitor.waiting if w.record is None or w.timestamp > oldest
        ]

    # Who -----------------------------------------------------------------------------------

    def become_new(self) -> None:
        """Start over as a new person."""
        self.visitor.become_new()
        self._start_over()

    def become(self, user: str) -> None:
        """Look and rate as an existing user.

        Raises
        ------
        InvalidInput
            If it cannot be the id of a user.
        """
        user = user.strip()
        if not user or len(user) > 200 or not user.isprintable():
            raise InvalidInput("user", user, "1 to 200 printable characters")
        self.visitor.become(user)
        self._start_over()

    def _start_over(self) -> None:
        self._user = self.visitor.user
        self.ratings = {}
        self.ratings_loaded = False
        self.ratings_problem = None
        self.recommended = Recommended(awaited=self._last_record())
        self.changed_user.emit()
        self.changed_ratings.emit()
        self.changed_recommended.emit()
        self.start()

    @property
    def wishes(self) -> Wishes:
        """What the list should be like."""
        return self.visitor.wishes

    def wish(self, wishes: Wishes) -> None:
        """Have the list otherwise from now on."""
        self.visitor.wishes = wishes
        self.refresh()

    async def forget(self) -> None:
        """Have all that is known of this user forgotten, and go on as a new person.

        Raises
        ------
        RecommenderError
            If ingest cannot be reached or does not do it; nothing has changed then.
        """
        user = self.visitor.user
        await self.api.forget(user, event_id=str(uuid.uuid4()))
        self.visitor.waiting = [w for w in self.visitor.waiting if w.user != user]
        self.become_new()

    # Loading -------------------------------------------------------------------------------

    def start(self) -> list[asyncio.Task[None]]:
        """Load what the page shows; the tasks, for whoever wants to wait a moment."""
        self.feed.watch()
        return [_later(self.load_ratings(), "ratings"), self.refresh()]

    def on_feed(self) -> None:
        """Take up what had to wait: called after every reading of the model."""
        if self._user != self.visitor.user:  # changed in another tab of the same browser
            self._start_over()
            return
        if self.outbox.unsent and not self.outbox.busy:
            _later(self.outbox.send(), "send")
        if self.feed.problem is not None:
            return
        if self.ratings_problem is not None:
            _later(self.load_ratings(), "ratings")
        state = self.recommended
        idle = self._refreshing is None or self._refreshing.done()
        learned = (
            state.awaited is not None
            and self.feed.model is not None
            and self.feed.model.as_of.covers(state.awaited)
        )
        if idle and (state.problem is not None or learned):
            self.refresh()

    async def load_ratings(self) -> None:
        """Read what the visitor has rated; what was rated here meanwhile stays on top."""
        user = self.visitor.user
        try:
            answer = await self.api.ratings(user)
        except RecommenderError as error:
            if user == self.visitor.user:
                self.ratings_problem = str(error)
                self.changed_ratings.emit()
            return
        if user != self.visitor.user:
            return
        known = {entry.item: Rated(entry.title, entry.score) for entry in answer.items}
        mine = {w.item: w for w in self._mine()}  # of each film the latest
        undone = {item for item, w in mine.items() if w.rating is None}
        waiting = {
            item: Rated(w.title, w.rating)
            for item, w in reversed(mine.items())
            if w.rating is not None
        }
        found = {**self.ratings, **waiting, **{**known, **waiting, **self.ratings}}
        self.ratings = {item: rated for item, rated in found.items() if item not in undone}
        self.ratings_loaded = True
        self.ratings_problem = None
        self.changed_ratings.emit()

    def refresh(self, rated: _Given | None = None) -> asyncio.Task[None]:
        """Fetch the recommendations anew; an older request still under way is dropped."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._refreshing = _later(self._refresh(rated), "recommendations")
        return self._refreshing

    async def _refresh(self, rated: _Given | None) -> None:
        user, state = self.visitor.user, self.recommended
        after = rated.record if rated else state.awaited
        state.loading = True
        state.awaited = after
        self.changed_recommended.emit()
        try:
            if state.list is None and after is not None:  # a reload: something to look at first
                state.list = await self._listed(user)
                self.changed_recommended.emit()
            state.list = await self._recommend(user, after)
            state.problem = None
            self._forget_learned(state.list.as_of)
            if after is None or state.list.as_of.covers(after):
                state.awaited = None
                if rated is not None and rated.clicked is not None:
                    seconds = asyncio.get_running_loop().time() - rated.clicked
                    state.learned = (rated.title, rated.item, seconds)
        except RecommenderError as error:
            state.problem = str(error)
        finally:
            state.loading = False
        if state is not self.recommended:
            return
        self.changed_recommended.emit()
        if state.list is None or state.problem is not None:
            return
        try:
            answer = await self.api.explain(user, [entry.item for entry in state.list.items])
        except RecommenderError:
            return  # an ornament of the list; the list itself has been shown
        state.expected = {entry.item: entry for entry in answer.items}
        if state is self.recommended:
            self.changed_recommended.emit()

    async def _recommend(self, user: str, after: Record | None) -> ItemList:
        if after is not None:
            with contextlib.suppress(Unavailable):
                return await self._listed(user, after)
            # Not learned within the predictor's limit: the list as it is tells whose fault it is.
        return await self._listed(user)

    async def _listed(self, user: str, after: Record | None = None) -> ItemList:
        return await self.api.recommend(user, RECOMMENDATIONS, after, self.wishes)

    def _forget_learned(self, as_of: AsOf) -> None:
        waiting = self.visitor.waiting
        left = [w for w in waiting if w.record is None or not as_of.covers(w.record)]
        if len(left) < len(waiting):
            self.visitor.waiting = left

    # Rating --------------------------------------------------------------------------------

    def rate(self, item: str, title: str | None, rating: float) -> asyncio.Task[None]:
        """Give a rating: shown at once, sent, learned, and then the list follows."""
        self.ratings = {
            item: Rated(title, rating),
            **{i: r for i, r in self.ratings.items() if i != item},
        }
        return self._give(item, title, rating)

    def undo(self, item: str) -> asyncio.Task[None] | None:
        """Take a rating back, on the same way; None where there is none."""
        rated = self.ratings.pop(item, None)
        return None if rated is None else self._give(item, rated.title, None)

    def _give(self, item: str, title: str | None, rating: float | None) -> asyncio.Task[None]:
        given = Waiting(
            user=self.visitor.user,
            item=item,
            title=title,
            rating=rating,
            timestamp=self.clock.now(),
            event_id=str(uuid.uuid4()),
        )
        self._clicked[given.event_id] = asyncio.get_running_loop().time()
        self.visitor.waiting = [*self.visitor.waiting, given]
        self.changed_ratings.emit()
        return _later(self.outbox.send(), "send")

    def _on_sent(self, given: Waiting, record: Record) -> None:
        """The last that waited is in the log: the list follows it, on all pages of the visitor."""
        clicked = self._clicked.get(given.event_id)
        self._clicked.clear()
        if clicked is None:  # another page has changed what is rated
            self.ratings = {}
        if clicked is None or not self.ratings_loaded:
            _later(self.load_ratings(), "ratings")
        if given.user == self.visitor.user:
            self.refresh(_Given(record, given.item, given.title, clicked))

    def _on_refused(self, given: Waiting, why: str) -> None:
        self.ratings.pop(given.item, None)
        _later(self.load_ratings(), "ratings")  # an earlier rating of it may hold
        undone = "Not taken back" if given.rating is None else "Not rated"
        self.refused.emit(given.item, f"{undone}: {why}")


@dataclass(frozen=True)
class _Given:
    """A rating that has reached the log."""

    record: Record
    item: str
    title: str | None
    clicked: float | None  # seconds of the event loop's clock; None: on another page


def _later(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    task = background_tasks.create(work, name=name)
    assert isinstance(task, asyncio.Task)
    return task
