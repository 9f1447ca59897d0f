"""One user as an answer needs it: kept from an earlier request, from Redis, else from Postgres."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar
from weakref import ref

import numpy as np
import numpy.typing as npt
import structlog

from predictor.breaker import Breaker
from predictor.items import ItemTable, Positions
from predictor.kept import KeptUsers
from predictor.metrics import USERS_READ, USERS_RENEWED
from predictor.served import Served
from recommender.errors import Unavailable
from recommender.ranking_head import weights
from recommender.rows import Floats, RowFormat
from storage.following import ProjectionReader, UserReading
from storage.reading import Snapshot, TruthReader, UserRecord

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

RENEWED_TOGETHER = 100
"""Kept users read again in one round trip: taking them over holds up requests for 1 to 3 ms."""

_READ_FROM = {store: USERS_READ.labels(store) for store in ("kept", "redis", "postgres", "memory")}


@dataclass
class RatedItems:
    """What a user has rated, as the item table knows it.

    Attributes
    ----------
    positions : (n,) intp
        Of the items that the table has.
    ratings : (n,) float32
        Of the same.
    """

    positions: Positions
    ratings: Floats
    _weights: tuple[float, float, Floats] | None = field(default=None, init=False, repr=False)

    def weights(self, low: float, high: float) -> Floats:
        """The ranking head's weights of the ratings, ``(n,)``, on a scale; worked out once."""
        if self._weights is None or self._weights[:2] != (low, high):
            self._weights = low, high, weights(self.ratings, low, high)
        return self._weights[2]


@dataclass(frozen=True)
class User:
    """One user for one answer.

    Parameters
    ----------
    user : str
        The id.
    n : int
        Ratings learned from this user; 0: the model does not know the user.
    bias : float
        b_x; 0 where not known.
    factors : (rank,) float32
        U_x; zeros where not known.
    ranking : (ranking_rank,) float32
        V_x; zeros where not known.
    rated : dict or None
        Item to the latest rating; None where it was not asked for.
    stale : bool
        Whether neither store could be asked.
    has_row : bool
        Whether bias and factors are those that the stream has learned; else they are folded in.
    """

    user: str
    n: int
    bias: float
    factors: Floats
    ranking: Floats
    rated: dict[str, float] | None
    stale: bool = False
    has_row: bool = True
    _found: list[tuple[ref[ItemTable], int, RatedItems]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def rated_in(self, items: ItemTable) -> RatedItems:
        """The rated items that a table has; looked up once, as items keep their positions."""
        if self._found:
            table, length, found = self._found[0]
            if table() is items and (
                length == len(items) or len(found.positions) == len(self.rated or ())
            ):
                return found
        given = self.rated or {}
        places = items.places(given)
        known = places >= 0
        ratings = np.fromiter(given.values(), np.float32, len(given))
        found = RatedItems(places[known], ratings[known])
        self._found[:] = [(ref(items), len(items), found)]  # a table that is replaced may go
        return found

    def with_ratings_of(self, other: User) -> User:
        """The same with the ratings that the same user had, and where these have been found."""
        both = replace(self, rated=other.rated)
        both._found[:] = other._found
        return both

    @property
    def known(self) -> bool:
        """Whether the model has learned from this user."""
        return self.n > 0


class UserReader:
    """Reads users: those kept (`predictor.kept`) where they are current, others from the stores.

    Of the stores, Redis is believed where it holds the user and reaches as far as the item side in
    memory; otherwise, and for users it does not hold, Postgres is asked: it alone can say that
    somebody is unknown, since Redis may have been emptied a moment ago.

    Parameters
    ----------
    projection : ProjectionReader
    truth : TruthReader
    kept : KeptUsers
    """

    def __init__(self, projection: ProjectionReader, truth: TruthReader, kept: KeptUsers) -> None:
        self._projection = projection
        self._truth = truth
        self._kept = kept
        self._redis = Breaker()
        self._postgres = Breaker()

    def forget(self, users: Sequence[str] | None) -> None:
        """Drop from memory users who have taken back ratings; None: all."""
        self._kept.drop(users)

    async def one(self, served: Served, user: str) -> User:
        """One user with the latest ratings."""
        found = await self.many(served, [user], with_ratings=True)
        return found[0]

    async def many(
        self, served: Served, users: Sequence[str], with_ratings: bool = False
    ) -> list[User]:
        """Some users, in their order; never fails.

        One round trip where Redis holds all of them.
        """
        if served.record is None:
            return [unknown(served.form, user) for user in users]
        model = served.record.model
        found: dict[str, User] = {}
        for user in users:
            if (kept := self._kept.current(model, user, with_ratings)) is not None:
                found[user] = kept
        _READ_FROM["kept"].inc(len(found))
        missing = [user for user in users if user not in found] if found else users
        if missing:
            found.update(await self._read(model, served, missing, with_ratings))
        return [found[user] for user in users]

    async def _read(
        self, model: int, served: Served, users: Sequence[str], with_ratings: bool
    ) -> dict[str, User]:
        """Users from the stores, or as they were read last."""
        changes = self._kept.changes
        found: dict[str, User] = {}
        readings = await self._from_redis(model, users, with_ratings)
        for user, reading in zip(users, readings, strict=True):
            if _complete(reading, served):
                found[user] = self._known(model, served.form, user, reading, changes)
        _READ_FROM["redis"].inc(len(found))

        missing = [user for user in users if user not in found]
        if missing:
            records = await self._from_postgres(model, served.form, missing, with_ratings)
            for user, record in zip(missing, records or (), strict=bool(records)):
                found[user] = self._known(model, served.form, user, record, changes)
            _READ_FROM["postgres"].inc(len(records or ()))

            for user, reading in zip(users, readings, strict=True):
                if user not in found:
                    found[user] = self._from_memory(model, served.form, user, reading)
                    _READ_FROM["memory"].inc()
        return found

    async def keep_current(self, served: Callable[[], Served]) -> None:
        """Read those kept users again whom micro-batches change, before they are asked for.

        For ever; ends by being cancelled. Where Redis does not answer they are read when they are
        asked for.

        Parameters
        ----------
        served : callable
            Gives what is served, once users are kept.
        """
        while True:
            await self._kept.any_outdated()
            model = served().model
            rows, whole = self._kept.outdated(model, RENEWED_TOGETHER)
            for users, with_ratings in ((rows, False), (whole, True)):
                if model is not None and users:
                    await self._renew(model, served, users, with_ratings)

    async def _renew(
        self, model: int, served: Callable[[], Served], users: list[str], with_ratings: bool
    ) -> None:
        changes = self._kept.changes
        readings = await self._from_redis(model, users, with_ratings)
        if (now := served()).model != model:
            return
        for user, reading in zip(users, readings, strict=True):
            if reading.row is not None and _complete(reading, now):
                row = now.form.unpack(reading.row)
                self._kept.renew(model, _from_row(user, row, reading.rated), changes)
                USERS_RENEWED.inc()

    async def ratings(self, served: Served, user: str) -> tuple[dict[str, float], bool]:
        """A user's ratings, most recent last, and whether they may be stale.

        Asks Postgres first: Redis does not keep the order.
        """
        rated = await self._ask_postgres(lambda snapshot: snapshot.ratings(user))
        if rated is not None:
            return rated, False
        found = await self.one(served, user)
        return found.rated or {}, found.stale

    async def ids(self, served: Served, after: str, n: int) -> tuple[list[str], bool]:
        """Ids of users after one, in order, and whether only the remembered ones were at hand."""
        if served.record is None:
            return [], False
        model = served.record.model
        found = await self._ask_postgres(lambda snapshot: snapshot.user_ids(model, after, n))
        if found is not None:
            return [user for user, _ in found], False
        kept = (user for user in self._kept.ids(model) if user > after)
        return heapq.nsmallest(n, kept), True

    async def _from_redis(
        self, model: int, users: Sequence[str], with_ratings: bool
    ) -> list[UserReading]:
        nothing = UserReading(None, None, None)
        if not self._redis.allows():
            return [nothing] * len(users)
        try:
            readings = await self._projection.users(model, users, with_ratings)
        except Unavailable as error:
            self._redis.failed()
            log.warning("users are read without Redis", reason=str(error))
            return [nothing] * len(users)
        self._redis.worked()
        return readings

    async def _from_postgres(
        self, model: int, form: RowFormat, users: Sequence[str], with_ratings: bool
    ) -> list[UserRecord] | None:
        return await self._ask_postgres(
            lambda snapshot: snapshot.users(model, form, users, with_ratings)
        )

    async def _ask_postgres(self, work: Callable[[Snapshot], Result]) -> Result | None:
        if not self._postgres.allows():
            return None
        try:
            result = await asyncio.to_thread(self._truth.read, work)
        except Unavailable as error:
            self._postgres.failed()
            log.warning("users are read without Postgres", reason=str(error))
            return None
        self._postgres.worked()
        return result

    def _known(
        self,
        model: int,
        form: RowFormat,
        user: str,
        reading: UserReading | UserRecord,
        changes: int,
    ) -> User:
        """A user from a store, kept where there is something to keep.

        `changes` are those of `KeptUsers` when the store was asked.
        """
        row = form.unpack(reading.row) if isinstance(reading.row, bytes) else reading.row
        if row is None:
            self._kept.discard(model, user)
            return replace(unknown(form, user), rated=reading.rated)
        read = _from_row(user, row, reading.rated)
        self._kept.put(model, read, changes)
        return read

    def _from_memory(self, model: int, form: RowFormat, user: str, reading: UserReading) -> User:
        """What is left where Postgres is away too: an incomplete Redis, or what was remembered."""
        if reading.row is not None and len(reading.row) == form.row.itemsize:
            return replace(_from_row(user, form.unpack(reading.row), reading.rated), stale=True)
        return replace(self._kept.last(model, user) or unknown(form, user), stale=True)


def _complete(reading: UserReading, served: Served) -> bool:
    """Whether Redis can be believed about this user."""
    return (
        reading.row is not None
        and len(reading.row) == served.form.row.itemsize
        and reading.batch is not None
        and reading.batch >= served.as_of.batch
        # A row without ratings: part of the projection has been lost.
        and (reading.rated is None or len(reading.rated) > 0)
    )


def _from_row(user: str, row: npt.NDArray[np.void], rated: dict[str, float] | None) -> User:
    return User(
        user=user,
        n=int(row["n"][0]),
        bias=float(row["bias"][0]),
        factors=np.ascontiguousarray(row["factors"][0], dtype=np.float32),
        ranking=np.ascontiguousarray(row["ranking"][0], dtype=np.float32),
        rated=rated,
    )


def unknown(form: RowFormat, user: str) -> User:
    """Somebody of whom the model knows nothing."""
    return User(
        user=user,
        n=0,
        bias=0.0,
        factors=np.zeros(form.rank, np.float32),
        ranking=np.zeros(form.ranking_rank, np.float32),
        rated={},
    )
