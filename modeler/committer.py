"""Commits micro-batches beside the reading of the next ones, one after the other."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from modeler.letters import LetterCarrier
from modeler.metrics import Metrics
from modeler.projector import Committed, Projector
from modeler.steps import Step, reached
from storage.as_of import AsOf
from storage.staging import SLOTS, Address, slot_of
from storage.truth import Commit, Lease, Truth

log = structlog.get_logger(__name__)


class Committer:
    """A thread that commits what tasks have staged, then hands it to the projector.

    Parameters
    ----------
    truth : Truth
        Holds the lease's lock; used by this thread alone from here on.
    lease : Lease
    projectors : sequence of Projector
        One for each model of the lease.
    letters : LetterCarrier
    metrics : Metrics
    failed : callable
        Called when a commit has failed; nothing is committed after that.
    """

    def __init__(
        self,
        truth: Truth,
        lease: Lease,
        projectors: Sequence[Projector],
        letters: LetterCarrier,
        metrics: Metrics,
        failed: Callable[[BaseException], object],
    ) -> None:
        self._truth = truth
        self._lease = lease
        self._projectors = projectors
        self._letters = letters
        self._metrics = metrics
        self._failed = failed
        self._as_of = lease.as_of
        self._expected = lease.as_of
        self._on_its_way: Address | None = None
        self._failure: BaseException | None = None
        self._queue: queue.SimpleQueue[Commit | None] = queue.SimpleQueue()
        self._progress = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    @property
    def as_of(self) -> AsOf:
        """The model as committed."""
        return self._as_of

    @property
    def expected(self) -> AsOf:
        """The model as it will be when what was submitted is committed."""
        return self._expected

    @property
    def on_its_way(self) -> Address | None:
        """Where the micro-batch is staged that was submitted last, if it may not be committed."""
        return self._on_its_way

    def submit(self, commit: Commit) -> None:
        """Commit a micro-batch soon; the ones before it are committed."""
        self.await_committed()
        self._expected = commit.as_of
        batch, tasks = commit.as_of.batch, [one.task for one in commit.staged]
        self._on_its_way = Address(slot_of(batch), self._lease.fence, tasks)
        self._queue.put(commit)
        if commit.total("withdrawals"):
            # How much they take out of what had been learned is known by the commit only.
            self.await_committed()
            self._expected = self._as_of

    def await_committed(self) -> None:
        """Wait until all that was submitted is committed, and the next slot of staging is empty.

        Raises
        ------
        Exception
            Whatever kept it from being committed.
        """
        with self._progress:
            self._progress.wait_for(lambda: self._failure or self._on_its_way is None)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Commit what has been submitted, then stop."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (commit := self._queue.get()) is not None:
            try:
                self._commit(commit)
                self._prepare(commit.as_of.batch + 2)
            except BaseException as error:
                with self._progress:
                    self._failure = error
                    self._progress.notify_all()
                self._failed(error)
                return
            with self._progress:
                self._on_its_way = None
                self._progress.notify_all()

    def _commit(self, commit: Commit) -> None:
        reached(Step.COMMIT_AHEAD)
        committing = time.perf_counter()
        self._as_of, withdrawn = self._truth.commit(
            self._lease, commit, merged=lambda: reached(Step.MERGED)
        )
        reached(Step.COMMITTED)
        self._metrics.committed(commit, self._lease.serving, time.perf_counter() - committing)
        for projector in self._projectors:
            projector.submit(Committed(self._as_of, commit.staged, withdrawn))
        if commit.total("dead_letters"):
            self._letters.wake()

    def _prepare(self, batch: int) -> None:
        """Empty the slot of the batch after the next; the next one's is being filled already."""
        for projector in self._projectors:
            projector.await_done(batch - SLOTS)
        self._truth.empty_slot(slot_of(batch))
