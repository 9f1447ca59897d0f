"""Writing the projection (Redis): what a micro-batch changed, then one stream entry.

The projection can be lost at any time; whoever writes here finds out by `reaches` and writes it
anew. Reading it is in `storage.following`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from storage import keys
from storage.as_of import AsOf
from storage.settings import RedisSettings

# Commands sent before their answers are read: bounds the memory on both ends.
_PER_ROUND_TRIP = 10_000
# Entries kept for readers that fall behind; one further back reads everything again.
_KEPT_CHANGES = 10_000
# Above so many changed users the entry does not list them: readers do not keep users in memory.
_LISTED_USERS = 1_000


class Projection:
    """The writer of one model's projection.

    Parameters
    ----------
    settings : RedisSettings
    model : int
    """

    def __init__(self, settings: RedisSettings, model: int) -> None:
        # One try and a short wait: the caller goes on learning and comes back later.
        self._redis = redis.Redis.from_url(
            settings.redis_url,
            socket_timeout=5.0,
            socket_connect_timeout=1.0,
            retry=Retry(NoBackoff(), 0),
        )
        self._prefix = settings.redis_prefix
        self._model = model
        self._keys = keys.Keys(settings.redis_prefix, model)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def reaches(self) -> AsOf | None:
        """How far it goes, every micro-batch whole; None where Redis has nothing of the model."""
        fields = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.state))
        if not fields:
            return None
        return AsOf.from_fields({name.decode(): value.decode() for name, value in fields.items()})

    def put_rows(self, side: str, ids: Sequence[str], values: Sequence[bytes]) -> None:
        """Write rows, as `RowFormat.row` bytes."""
        name = self._keys.user if side == "user" else self._keys.item
        for start in range(0, len(ids), _PER_ROUND_TRIP):
            part = slice(start, start + _PER_ROUND_TRIP)
            self._redis.mset(
                {name(one): value for one, value in zip(ids[part], values[part], strict=True)}
            )

    def put_ratings(self, ratings: Iterable[tuple[str, str, float]]) -> None:
        """Write (user, item, rating); a later one of a pair replaces an earlier."""
        by_user: dict[str, dict[str, float]] = {}
        for user, item, rating in ratings:
            by_user.setdefault(user, {})[item] = rating
        pipeline = self._redis.pipeline(transaction=False)
        for user, rated in by_user.items():
            pipeline.hset(self._keys.rated(user), mapping=cast(Any, rated))
            if len(pipeline) >= _PER_ROUND_TRIP:
                pipeline.execute()
        pipeline.execute()

    def announce(
        self, as_of: AsOf, users: Sequence[str], items: Sequence[str], catalogue: Sequence[str]
    ) -> None:
        """Say that a micro-batch is projected, after all its rows are."""
        entry = {
            "items": json.dumps(list(items)),
            "users": json.dumps(list(users)) if len(users) <= _LISTED_USERS else "*",
            "catalogue": json.dumps(list(catalogue)),
        }
        self._announce(as_of, entry)

    def announce_anew(self, as_of: AsOf) -> None:
        """Say that the projection was written anew: readers read everything again."""
        self._announce(as_of, {"items": "[]", "users": "*", "catalogue": "[]", "reset": "1"})

    def _announce(self, as_of: AsOf, entry: Mapping[str, str]) -> None:
        fields = as_of.fields()
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hset(self._keys.state, mapping=cast(Any, fields))
        pipeline.set(keys.serving(self._prefix), self._model)
        pipeline.xadd(
            self._keys.changes,
            cast(Any, {**fields, **entry}),
            maxlen=_KEPT_CHANGES,
            approximate=True,
        )
        pipeline.execute()

    def clear(self) -> None:
        """Remove everything of the model except the stream, which readers are following."""
        some: list[bytes] = []
        for key in self._redis.scan_iter(match=f"{self._keys.start}*", count=_PER_ROUND_TRIP):
            if key.decode() != self._keys.changes:
                some.append(key)
            if len(some) >= _PER_ROUND_TRIP:
                self._redis.unlink(*some)
                some.clear()
        if some:
            self._redis.unlink(*some)
