"""Keeps the item side in memory as new as the stores: loads it, then follows the change stream.

The way back from any trouble is the same: note the end of the stream, read from Postgres what is
not known yet, follow the stream from the noted place. What was changed in between comes twice; a
micro-batch that is known already has no effect.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeVar

import numpy as np
import structlog
import tenacity

from predictor import metrics
from predictor.head_start import HeadStart
from predictor.kept import KeptUsers
from predictor.loading import load, load_difference
from predictor.progress import Progress
from predictor.served import Served
from recommender.clock import SYSTEM_CLOCK, Clock
from recommender.errors import Unavailable
from recommender.rows import Rows
from recommender.settings import ScaleSettings
from storage.following import Change, ProjectionReader
from storage.reading import CatalogueEntry, Snapshot, TruthReader

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

FIRST_RETRY = 0.05
"""Seconds before the first new try; a store that restarts here is back within 1 s."""

CATALOGUE_SHARE = 20
"""Reading the whole catalogue again takes at most one part in so many of the time."""


class _ReadAgain(Exception):
    """The stream does not say all that has changed: read from Postgres. Not an error."""


class Follower:
    """Owns what is served and brings it up to date; `run` is a task for the life of the process.

    Parameters
    ----------
    projection : ProjectionReader
    truth : TruthReader
    scale : ScaleSettings
        The scale where there is no model.
    topic : str
        Topic of the ratings.
    refresh_seconds : float
        Longest time between two tries while a store is away.
    idle_seconds : float
        Time without a change after which Postgres is asked whether the stream is behind.
    half_life : int
        Of trends, in ratings.
    forget : callable
        Is told which users have taken back ratings; None: any may have.
    kept : KeptUsers
        Is told which users have changed, in any way.
    clock : Clock
    head_start : HeadStart, optional
        What is being read already.

    Attributes
    ----------
    current : bool
        Whether the item side follows a store; if not, answers are stale.
    progress : Progress
        How much of the model has been loaded, while it is.
    lag : int or None
        Records in the log that the modeler had not learned when it told last; None where it does
        not tell, or Redis is away.
    """

    def __init__(
        self,
        projection: ProjectionReader,
        truth: TruthReader,
        scale: ScaleSettings,
        topic: str,
        refresh_seconds: float,
        idle_seconds: float,
        half_life: int,
        kept: KeptUsers,
        forget: Callable[[list[str] | None], object] = lambda _: None,
        clock: Clock = SYSTEM_CLOCK,
        head_start: HeadStart | None = None,
    ) -> None:
        self._head_start = head_start
        self._projection = projection
        self._truth = truth
        self._scale = scale
        self._topic = topic
        self._refresh_seconds = refresh_seconds
        self._idle_seconds = idle_seconds
        self._half_life = half_life
        self._forget = forget
        self._kept = kept
        self._clock = clock
        self._served: Served | None = None
        self.current = False
        self.progress = head_start.progress if head_start else Progress()
        self.lag: int | None = None
        self._changed = asyncio.Condition()
        self._place: tuple[int, str] | None = None  # model, last entry of its stream taken over
        self._read_all = False  # a reset: memory may hold what the truth no longer does
        self._behind = False  # the stream left something out: only Postgres leads on
        self._catalogue_due = 0.0
        self._uncatalogued: set[str] = set()  # items whose changed entry has not been read yet
        metrics.AGE.set_function(self._age)
        metrics.LAG.set_function(lambda: np.nan if self.lag is None else self.lag)

    @property
    def served(self) -> Served:
        """What is served now.

        Raises
        ------
        Unavailable
            If nothing could be loaded since the start.
        """
        if self._served is None:
            raise Unavailable("Postgres", "nothing has been loaded from it since the start")
        return self._served

    @property
    def loaded(self) -> bool:
        """Whether `served` can be used."""
        return self._served is not None

    async def wait_for(self, partition: int, offset: int, seconds: float) -> bool:
        """Wait until the record at a place of the log has been learned.

        Parameters
        ----------
        partition, offset : int
            The record's place in the topic of the ratings.
        seconds : float
            Longest wait.

        Returns
        -------
        bool
            Whether it has been learned.
        """
        if self.served.covers(partition, offset):
            return True
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self.served.covers(partition, offset))
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Follow for ever; ends by being cancelled."""
        while True:
            # Each loss of a store starts with short pauses again.
            async for attempt in tenacity.AsyncRetrying(
                wait=tenacity.wait_exponential_jitter(
                    FIRST_RETRY, max=self._refresh_seconds, jitter=FIRST_RETRY
                ),
                before_sleep=_log_retry,
            ):
                with attempt:
                    await self._until_trouble()

    async def _until_trouble(self) -> None:
        """Catch up and follow; returns when following worked for a while and then did not."""
        place = await self._catch_up()
        followed = False
        # Catching up began at a place of the stream before what it read: nothing is missed.
        self._follow_users(True)
        try:
            while True:
                place = await self._follow_once(place)
                followed = True
        except (Unavailable, _ReadAgain) as trouble:
            if not followed:
                raise
            log.info("reading from Postgres", reason=str(trouble))
        finally:
            self._follow_users(False)
            self.lag = None

    # --- the truth -------------------------------------------------------------------------------

    async def _catch_up(self) -> tuple[int, str]:
        """Bring memory to the state of the truth; returns the place in the stream to follow from.

        Raises
        ------
        Unavailable
            If Redis is away (memory is up to date nevertheless), or Postgres is and the stream
            alone does not lead on.
        """
        noted: tuple[int, str] | None = None
        redis_error: Unavailable | None = None
        try:
            model = await self._projection.serving()
            if model is not None:
                noted = (model, await self._projection.last_change(model))
        except Unavailable as error:
            redis_error = error
        try:
            await self._read_truth()
            model = self.served.model
            while model is not None and noted is not None and noted[0] != model:
                # Redis names another model than the truth: what was noted is another's stream.
                noted = (model, await self._projection.last_change(model))
                await self._read_truth()
                model = self.served.model
        except Unavailable:
            if redis_error or self._place is None or self._behind or self._read_all:
                self._set_current(False)
                raise
            log.warning("following the change stream without Postgres")
            return self._place
        self._set_current(True)
        if redis_error is not None:
            raise redis_error
        if model is None:
            raise _ReadAgain("there is no serving model yet")
        if noted is None:
            # Redis is empty; the stream's first entry will come after what has just been read.
            noted = (model, "0-0")
        self._place = noted
        return noted

    async def _read_truth(self) -> None:
        """Read what is not known yet, or everything."""
        known = self._served
        if known is not None and known.record is not None and not self._read_all:
            begin = time.monotonic()
            with_catalogue = begin >= self._catalogue_due
            found = await self._ask(
                lambda snapshot: load_difference(snapshot, known, with_catalogue)
            )
            if found is not None:
                metrics.BEHIND.set(found.record.as_of.batch - known.as_of.batch)
                metrics.LOADS.labels("difference").inc()
                async with self._changing():
                    if found.record.as_of.batch != known.as_of.batch:
                        self._users_changed(found.record.model, None, None)
                    known.record = found.record
                    known.put_items(found.rows.items, found.rows.rows)
                    self._withdrawn(found.withdrawn)
                    for batch in found.catalogue or []:
                        known.put_catalogue(batch)
                    known.advance(found.record.as_of)
                if found.catalogue is not None:
                    self._catalogue_read(begin)
                self._behind = False
                await self._announce(known)
                await self._learn_cold(known)
                await self._put_in_order(known)
                return
        begin = time.monotonic()
        if known is not None and known.record is None and begin < self._catalogue_due:
            record = await self._ask(lambda snapshot: snapshot.serving_model())
            if record is None:
                return
        served = await self._ask(
            lambda snapshot: load(
                snapshot, self._scale, self._topic, self._half_life, self.progress, self._head_start
            )
        )
        self._head_start = None
        self._catalogue_read(begin)
        metrics.LOADS.labels("all").inc()
        if served.model is not None:
            log.info(
                "model loaded",
                model=served.model,
                batch=served.as_of.batch,
                items=len(served.items),
                seconds=round(time.monotonic() - begin, 3),
            )
        await self._prepare(served.holders)
        async with self._changing():
            if served.model is not None:
                self._users_changed(served.model, None, None)
            self._served = served
            self._withdrawn(None)
        # What has been loaded stays, an entry of attributes for each item among it: looking through
        # it for garbage, again and again, would hold up every request.
        gc.freeze()
        _give_back_memory()
        self._read_all = False
        self._behind = False
        await self._announce(served)

    async def _ask(self, work: Callable[[Snapshot], Result]) -> Result:
        return await asyncio.to_thread(self._truth.read, work)

    def _catalogue_read(self, begin: float) -> None:
        now = time.monotonic()
        self._catalogue_due = now + max(self._refresh_seconds, CATALOGUE_SHARE * (now - begin))

    # --- the stream ------------------------------------------------------------------------------

    async def _follow_once(self, place: tuple[int, str]) -> tuple[int, str]:
        """Wait for changes and take them over; returns the new place in the stream.

        Raises
        ------
        Unavailable
            If Redis, or Postgres where it is needed, is away.
        _ReadAgain
            If the stream does not lead on.
        """
        model, after = place
        changes = await self._projection.changes(model, after, self._idle_seconds)
        self._set_current(True)
        if changes:
            await self._take_over(changes)
            self._place = place = (model, changes[-1].id)
        serving, self.lag = await self._projection.serving_and_lag()
        if serving is not None and serving != model:
            raise _ReadAgain(f"model {serving} serves instead of {model}")
        if not changes:
            await self._look_after()
        return place

    async def _take_over(self, changes: list[Change]) -> None:
        served = self.served
        if any(change.reset for change in changes):
            self._read_all = True
            raise _ReadAgain("the change stream says so")
        new = [change for change in changes if change.as_of.batch > served.as_of.batch]
        expected = served.as_of.batch
        for change in new:
            expected += 1
            if change.as_of.batch != expected:
                self._behind = True
                raise _ReadAgain(
                    f"micro-batch {change.as_of.batch} follows {expected - 1} in the change stream"
                )
        items = list({item: None for change in new for item in change.items})
        packed = await self._projection.item_rows(self._model(), items) if items else []
        size = served.form.row.itemsize
        if any(row is None or len(row) != size for row in packed):
            self._behind = True
            raise _ReadAgain("Redis lacks rows that the change stream names")
        for change in changes:
            self._uncatalogued.update(change.catalogue)
        wanted, entries = await self._uncatalogued_entries()
        async with self._changing():
            for change in changes:
                if change.withdrawn != []:
                    self._withdrawn(change.withdrawn)
            self._put_catalogue(wanted, entries)
            if items:
                rows = Rows.unpack(served.form.unpack(b"".join(row for row in packed if row)))
                served.put_items(items, rows)
            if new:
                served.advance(new[-1].as_of)
                self._users_changed(self._model(), *_users(new))
        if new:
            metrics.CHANGES.inc(len(new))
            if (at := new[-1].as_of.at) is not None:
                metrics.DELAY.observe(max(0.0, self._clock.now() - at))
            await self._announce(served)
        await self._learn_cold(served)
        await self._put_in_order(served)

    async def _put_in_order(self, served: Served) -> None:
        """Now and then; nothing else writes to the items until it is done."""
        if served.items.out_of_order:
            ordered = await asyncio.to_thread(served.in_order)
            await self._prepare(ordered.holders)
            async with self._changing():
                served.items.ordered = ordered

    async def _learn_cold(self, served: Served) -> None:
        """Now and then, learn anew what attributes say of items with few ratings."""
        if served.cold.due(served.as_of.rating_count):
            cold = await asyncio.to_thread(served.fit_cold)
            async with self._changing():
                served.take_cold(cold)

    async def _uncatalogued_entries(self) -> tuple[list[str], list[CatalogueEntry]]:
        """Items whose catalogue entries have changed, and those; without Postgres they wait."""
        wanted = list(self._uncatalogued)
        if not wanted:
            return [], []
        try:
            return wanted, await self._ask(lambda snapshot: snapshot.catalogue(wanted))
        except Unavailable as error:
            log.warning("new catalogue entries wait for Postgres", reason=str(error))
            return [], []

    def _put_catalogue(self, wanted: list[str], entries: list[CatalogueEntry]) -> None:
        """Take up what has been read; only then nothing is left to be read of these items."""
        if entries:
            self.served.put_catalogue(entries)
        self._uncatalogued.difference_update(wanted)

    async def _look_after(self) -> None:
        """In a quiet moment: has the truth gone on without Redis being told?"""
        try:
            record = await self._ask(lambda snapshot: snapshot.serving_model())
        except Unavailable as error:
            log.warning("Postgres is away; following the change stream goes on", reason=str(error))
            return
        wanted, entries = await self._uncatalogued_entries()
        if wanted:
            async with self._changing():
                self._put_catalogue(wanted, entries)
        batch = record.as_of.batch if record else 0
        metrics.BEHIND.set(batch - self.served.as_of.batch)
        if record is None or record.model != self.served.model or batch != self.served.as_of.batch:
            raise _ReadAgain("the truth has changed and the change stream did not tell")

    def _model(self) -> int:
        model = self.served.model
        assert model is not None, "only a model's stream is followed"
        return model

    # --- what changes ---------------------------------------------------------------------------

    async def _prepare(self, holders: list[object]) -> None:
        """Is told which objects are about to be served, before they are."""

    def _changing(self) -> AbstractAsyncContextManager[None]:
        """Within it what is served may be changed; nothing is awaited there."""
        return nullcontext()

    def _users_changed(self, model: int, users: set[str] | None, rated: set[str] | None) -> None:
        self._kept.forget(model, users, rated)

    def _withdrawn(self, users: list[str] | None) -> None:
        self._forget(users)

    def _follow_users(self, followed: bool) -> None:
        self._kept.follow(followed)

    # --- those who wait --------------------------------------------------------------------------

    async def _announce(self, served: Served) -> None:
        self._show(served)
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _show(self, served: Served) -> None:
        metrics.BATCH.set(served.as_of.batch)
        metrics.ITEMS.set(len(served.items))
        for partition, following in served.as_of.offsets.get(self._topic, {}).items():
            metrics.NEXT_OFFSET.labels(str(partition)).set(following)

    def _set_current(self, current: bool) -> None:
        self.current = current
        metrics.CURRENT.set(current)

    def _age(self) -> float:
        at = self._served.as_of.at if self._served else None
        return np.nan if at is None else self._clock.now() - at


def _give_back_memory() -> None:
    """Return to the system what loading needed and glibc keeps: some 5 % of a large model."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _users(changes: Sequence[Change]) -> tuple[set[str] | None, set[str] | None]:
    """The users whom micro-batches changed, and whose ratings they did; None: not all are named."""
    users: set[str] = set()
    rated: set[str] = set()
    for change in changes:
        if change.users is None:
            return None, None
        users.update(change.users)
        rated.update(change.users if change.rated is None else change.rated)
    return users, rated


def _log_retry(state: tenacity.RetryCallState) -> None:
    if state.attempt_number & (state.attempt_number - 1):
        return  # 1, 2, 4, 8, ...: a store that stays away does not fill the log
    error = state.outcome.exception() if state.outcome else None
    expected = isinstance(error, Unavailable | _ReadAgain)
    log.warning(
        "the item side does not follow Redis",
        reason=str(error) if expected else None,
        exc_info=None if expected else error,
        attempt=state.attempt_number,
    )
