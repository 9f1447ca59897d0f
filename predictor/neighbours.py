"""The users who rated last, kept for a while: who they are, and who among them is alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import numpy as np
import structlog

from predictor.ranking import Folding, best
from predictor.served import NO_MODEL, Served
from predictor.users import User
from recommender.diversity import normalized
from recommender.errors import Unavailable
from recommender.rows import Floats, Rows
from storage.reading import ActiveUsers, TruthReader

log = structlog.get_logger(__name__)

SHARE = 20
"""Reading takes at most one part in so many of the time, however many users there are."""

LEAST_AGE = 2.0
"""Seconds for which they hold at least."""


class Neighbours:
    """Reads the latest users, at most so many, and looks among them.

    Parameters
    ----------
    truth : TruthReader
    size : int
        Users held.
    """

    def __init__(self, truth: TruthReader, size: int) -> None:
        self._truth = truth
        self._size = size
        self._reading = asyncio.Lock()
        self._model: int | None = None
        self._kept = _nobody()
        self._vectors: Floats = np.zeros((0, 0), np.float32)
        self._due = 0.0

    def forget(self, users: Sequence[str] | None) -> None:
        """Drop users who have taken back ratings until they are read again; None: read again."""
        if users is None:
            self._due = 0.0
            return
        gone = set(users)
        left = [place for place, user in enumerate(self._kept.users) if user not in gone]
        if len(left) < len(self._kept.users):
            kept = self._kept
            self._kept = ActiveUsers(
                [kept.users[place] for place in left],
                kept.batches[left],
                Rows.unpack(kept.rows.pack()[left]),
            )
            self._vectors = self._vectors[left]

    async def active(self, served: Served) -> tuple[ActiveUsers, bool]:
        """The users, those who rated last first, and whether Postgres could not be asked."""
        if served.record is None:
            return _nobody(), False
        model, form = served.record.model, served.form
        async with self._reading:  # one reading serves all who wait for it
            begin = time.monotonic()
            if self._model == model and begin < self._due:
                return self._kept, False
            try:
                found = await asyncio.to_thread(
                    self._truth.read,
                    lambda snapshot: snapshot.active_users(model, form, self._size),
                )
            except Unavailable as error:
                log.warning("users without Postgres", reason=str(error))
                return (self._kept if self._model == model else _nobody()), True
            now = time.monotonic()
            self._model, self._kept = model, found
            vectors = found.rows.ranking if form.ranking_rank else found.rows.factors
            self._vectors = normalized(vectors)
            self._due = now + max(LEAST_AGE, SHARE * (now - begin))
            return found, False

    async def similar(
        self, served: Served, user: User, n: int
    ) -> tuple[list[tuple[str, float, int]], bool]:
        """Users with a similar taste: id, cosine of the vectors that rank, number of ratings.

        Returns
        -------
        (list, bool)
            Most alike first; and whether they may be stale.
        """
        found, stale = await self.active(served)
        own = Folding(served, user).vector if served.form.ranking_rank else user.factors
        if not len(found.users) or not own.any():
            return [], stale
        likeness = self._vectors @ normalized(own)
        likeness[[place for place, one in enumerate(found.users) if one == user.user]] = -np.inf
        chosen = best(likeness.copy(), n)
        return [
            (found.users[place], float(likeness[place]), int(found.rows.n[place]))
            for place in chosen.tolist()
        ], stale


def _nobody() -> ActiveUsers:
    return ActiveUsers([], np.zeros(0, np.int64), Rows.empty(0, NO_MODEL))
