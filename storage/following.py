"""Reading the projection (Redis): one user in one round trip, item rows, the stream of changes.

Nothing here writes. Every wait has a limit; whatever goes wrong with Redis is raised as
`recommender.errors.Unavailable`, and the next call tries again with a new connection.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from recommender.errors import Unavailable
from storage import keys, rated
from storage.as_of import AsOf
from storage.gathering import Gathering

ITEMS_PER_READ = 5_000
"""Rows asked for in one MGET: some 2 MB, so that Redis is never held up for more than a few ms."""

CHANGES_PER_READ = 100
"""Stream entries taken at once; a follower that is far behind catches up in few round trips."""


@dataclass(frozen=True)
class UserReading:
    """What the projection holds of one user.

    Parameters
    ----------
    row : bytes or None
        In the layout of `recommender.rows.RowFormat.row`; None where there is none.
    rated : dict or None
        Item to the latest rating; None where it was not asked for.
    batch : int or None
        The micro-batch that the projection reaches to; None where the projection is incomplete.
    """

    row: bytes | None
    rated: dict[str, float] | None
    batch: int | None


@dataclass(frozen=True)
class Change:
    """One entry of the change stream: what one micro-batch changed.

    Parameters
    ----------
    id : str
        The entry's place in the stream.
    as_of : AsOf
        The model's state after the micro-batch.
    items : list of str
        Items whose row changed.
    users : list of str or None
        Users whose row changed; None where they are too many to be named.
    catalogue : list of str
        Items whose catalogue entry changed.
    withdrawn : list of str or None
        Users who have taken back ratings; None where they are too many to be named.
    rated : list of str or None
        Those of `users` whose ratings have changed; None where they are not named apart.
    reset : bool
        Everything has to be read again.
    """

    id: str
    as_of: AsOf
    items: list[str]
    users: list[str] | None
    catalogue: list[str]
    withdrawn: list[str] | None
    rated: list[str] | None
    reset: bool


class ProjectionReader:
    """Asynchronous reads of the projection; belongs to one event loop.

    Parameters
    ----------
    url : str
        Redis URL.
    prefix : str
        First part of every key.
    timeout : float
        Seconds that connecting, and that an answer, may take.
    """

    def __init__(self, url: str, prefix: str, timeout: float) -> None:
        self._prefix = prefix
        self._timeout = timeout
        self._redis = self._client(url, timeout)
        # A blocking read holds its connection for as long as it waits: it has a client of its own,
        # whose answers may take that much longer.
        self._blocking = self._client(url, timeout + self.LONGEST_WAIT)
        self._users: dict[tuple[int, bool], Gathering[str, UserReading]] = {}

    LONGEST_WAIT = 30.0
    """Seconds that `changes` may be told to wait at most."""

    @staticmethod
    def _client(url: str, timeout: float) -> Redis:
        return Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1),  # one more try: an idle connection breaks with a restart
            protocol=2,  # Redis 6.2 and later answer alike
            client_name="recommender-reader",
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()
        await self._blocking.aclose()

    async def serving(self) -> int | None:
        """Number of the serving model, or None where the projection does not name one."""
        async with _answering():
            found = await self._redis.get(keys.serving(self._prefix))
            return None if found is None else int(found)

    async def serving_and_lag(self) -> tuple[int | None, int | None]:
        """The serving model, and the records in the log that the modeler has not learned.

        None where the projection does not name one, and where the modeler does not tell.
        """
        async with _answering():
            found: Any = await self._redis.mget(
                [keys.serving(self._prefix), keys.lag(self._prefix)]
            )
            serving, lag = (None if one is None else int(one) for one in found)
            return serving, lag

    async def state(self, model: int) -> AsOf | None:
        """How far the projection of a model reaches, or None where it is incomplete."""
        async with _answering():
            found = await self._redis.hgetall(keys.Keys(self._prefix, model).state)
            return AsOf.from_fields(_text(found)) if found else None

    async def users(
        self, model: int, users: Sequence[str], with_ratings: bool = True
    ) -> list[UserReading]:
        """Rows of some users, in their order, and where wanted their ratings.

        One round trip, shared with whoever else asks while Redis is answering.
        """
        kind = model, with_ratings
        if (gathering := self._users.get(kind)) is None:
            self._users.clear()  # of a model that serves no more
            for wanted in (False, True):
                ask = partial(self._ask_for_users, model, wanted)
                self._users[model, wanted] = Gathering(ask)
            gathering = self._users[kind]
        return list(await gathering.answers(users))

    async def _ask_for_users(
        self, model: int, with_ratings: bool, users: Sequence[str]
    ) -> list[UserReading]:
        names = keys.Keys(self._prefix, model)
        async with _answering():
            wanted = [names.user(user) for user in users]
            if with_ratings:
                wanted += [names.rated(user) for user in users]
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.hget(names.state, "batch")
            pipeline.mget(wanted)
            found, values = await pipeline.execute()
            batch = None if found is None else int(found)
            rows, ratings = values[: len(users)], values[len(users) :]
            if not with_ratings:
                return [UserReading(row, None, batch) for row in rows]
            return [
                UserReading(row, rated.decode(records or b""), batch)
                for row, records in zip(rows, ratings, strict=True)
            ]

    async def item_rows(self, model: int, items: Sequence[str]) -> list[bytes | None]:
        """Rows of the items, in their order; None for an item without one."""
        names = keys.Keys(self._prefix, model)
        found: list[bytes | None] = []
        async with _answering():
            for first in range(0, len(items), ITEMS_PER_READ):
                some = items[first : first + ITEMS_PER_READ]
                rows: Any = await self._redis.mget([names.item(item) for item in some])
                found.extend(rows)
        return found

    async def last_change(self, model: int) -> str:
        """Place of the newest entry of the change stream; ``0-0`` where there is none."""
        async with _answering():
            newest: Any = await self._redis.xrevrange(
                keys.Keys(self._prefix, model).changes, count=1
            )
            return str(newest[0][0].decode()) if newest else "0-0"

    async def changes(self, model: int, after: str, wait: float) -> list[Change]:
        """The entries after a place of the change stream, oldest first; waits for the next one.

        Parameters
        ----------
        model : int
            Number of the model.
        after : str
            Place of the last entry known.
        wait : float
            Seconds to wait for an entry where there is none yet, up to `LONGEST_WAIT`; after
            that the list is empty.
        """
        async with _answering():
            streams: Any = await self._blocking.xread(
                {keys.Keys(self._prefix, model).changes: after},
                count=CHANGES_PER_READ,
                block=max(1, int(min(wait, self.LONGEST_WAIT) * 1000)),
            )
            entries = streams[0][1] if streams else []
            return [_change(place.decode(), _text(fields)) for place, fields in entries]


def _change(place: str, fields: Mapping[str, str]) -> Change:
    users, withdrawn = fields.get("users", "*"), fields.get("withdrawn", "[]")
    return Change(
        id=place,
        as_of=AsOf.from_fields(fields),
        items=json.loads(fields.get("items", "[]")),
        users=_users(users),
        catalogue=json.loads(fields.get("catalogue", "[]")),
        withdrawn=_users(withdrawn),
        rated=_users(fields.get("rated", "*")),  # a modeler of an earlier release does not say
        reset=fields.get("reset") == "1",
    )


def _users(listed: str) -> list[str] | None:
    users: list[str] | None = None if listed == "*" else json.loads(listed)
    return users


def _text(fields: Mapping[Any, Any]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """Turn whatever shows that Redis cannot be used, or holds something else, into one error."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable("Redis", str(error) or type(error).__name__) from error
    except (KeyError, ValueError) as error:
        raise Unavailable("Redis", f"a key does not hold what it should: {error!r}") from error
