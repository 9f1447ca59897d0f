"""Writing the projection (Redis): what a micro-batch changed, then one stream entry.

The projection can be lost at any time, in the middle of a micro-batch as well, and a writer that
was replaced may wake up late. So every write is a transaction that has no effect unless the writer
still holds its claim, and the last one also finds out whether Redis was started anew since.
Reading it is in `storage.following`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

from recommender.errors import RecommenderError
from storage import keys, rated
from storage.as_of import AsOf
from storage.redis_client import address
from storage.settings import RedisSettings

# Commands sent before their answers are read: bounds the memory on both ends.
_PER_ROUND_TRIP = 10_000
# Entries kept for readers that fall behind, some minutes; one further back reads everything again.
_KEPT_CHANGES = 2_000
# Raised where the values of the keys change their form: what another release wrote is none then,
# and is written anew.
_FORMAT = b"2"
# Above so many changed users the entry does not list them: readers forget all that they keep. With
# ratings replayed for others a live micro-batch changes a thousand; all entries together stay below
# some 100 MB.
_LISTED_USERS = 5_000
# To many keys at once, as MSET does: a command for each would cost several times as much.
_APPEND = "for place, key in ipairs(KEYS) do redis.call('APPEND', key, ARGV[place]) end"


class ClaimLost(RecommenderError):
    """Redis was emptied or started anew, or has another writer now: claim again."""


class Projection:
    """The writer of one model's projection.

    Of several, the one that claimed last is heard; the first write claims where nothing has.

    Parameters
    ----------
    settings : RedisSettings
    model : int
    """

    def __init__(self, settings: RedisSettings, model: int) -> None:
        # One try and a short wait: the caller goes on learning and comes back later.
        self._redis = redis.Redis.from_url(
            address(settings),
            socket_timeout=5.0,
            socket_connect_timeout=1.0,
            retry=Retry(NoBackoff(), 0),
        )
        self._prefix = settings.redis_prefix
        self._model = model
        self._keys = keys.Keys(settings.redis_prefix, model)
        self._writer = f"{self._keys.start}writer"
        self._claim = b""
        self._run = ""  # Redis' own id of the run in which the claim was made

    def claim(self) -> None:
        """Become the writer.

        What is written from now on must be read from the truth from now on: whoever wrote before
        may have got further in the meantime.
        """
        self._run = self._redis.info("server")["run_id"]
        self._claim = uuid.uuid4().hex.encode()
        self._redis.set(self._writer, self._claim)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def reaches(self) -> AsOf | None:
        """How far it goes, every micro-batch whole; None where Redis has nothing of the model."""
        fields = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.state))
        if fields.get(b"format") != _FORMAT:
            return None
        return AsOf.from_fields({name.decode(): value.decode() for name, value in fields.items()})

    def put_rows(self, side: str, ids: Sequence[str], values: Sequence[bytes]) -> None:
        """Write rows, as `RowFormat.row` bytes."""
        name = self._keys.user if side == "user" else self._keys.item
        for start in range(0, len(ids), _PER_ROUND_TRIP):
            part = slice(start, start + _PER_ROUND_TRIP)
            written = {name(one): row for one, row in zip(ids[part], values[part], strict=True)}

            def put(pipeline: Pipeline, rows: dict[str, bytes] = written) -> None:
                pipeline.mset(cast(Any, rows))

            self._write(put)

    def put_ratings(
        self,
        users: pa.Array,
        items: pa.Array,
        ratings: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.integer] | None = None,
    ) -> list[str]:
        """Append ratings, columns as `storage.rated.encode` takes them, to what users have rated.

        Returns
        -------
        list of str
            Whose ratings they are, each once.
        """
        distinct, records = rated.encode(users, items, ratings, lengths)
        for start in range(0, len(distinct), _PER_ROUND_TRIP):
            part = slice(start, start + _PER_ROUND_TRIP)
            appended = [*map(self._keys.rated, distinct[part]), *cast("list[Any]", records[part])]

            def put(pipeline: Pipeline, some: list[Any] = appended) -> None:
                pipeline.eval(_APPEND, len(some) // 2, *some)

            self._write(put)
        return distinct

    def replace_users(self, users: Sequence[tuple[str, bytes, bytes]]) -> None:
        """Write what is left of users, row and ratings at once: id, row, `storage.rated` records.

        What is empty is deleted.
        """
        for start in range(0, len(users), _PER_ROUND_TRIP):

            def put(
                pipeline: Pipeline,
                some: Sequence[tuple[str, bytes, bytes]] = users[start : start + _PER_ROUND_TRIP],
            ) -> None:
                for user, row, records in some:
                    for key, value in (
                        (self._keys.user(user), row),
                        (self._keys.rated(user), records),
                    ):
                        if value:
                            pipeline.set(key, value)
                        else:
                            pipeline.delete(key)

            self._write(put)

    def announce(
        self,
        as_of: AsOf,
        users: Sequence[str],
        items: Sequence[str],
        catalogue: Sequence[str],
        withdrawn: Sequence[str] = (),
        rated: Sequence[str] | None = None,
    ) -> None:
        """Say that a micro-batch is projected, after all its rows are.

        Parameters
        ----------
        as_of : AsOf
        users, items : sequence of str
            Whose rows have changed.
        catalogue : sequence of str
            Items whose entry has changed.
        withdrawn : sequence of str
            Those of the users who have taken back ratings.
        rated : sequence of str or None
            Those of the users whose ratings have changed; the others were replayed. None: any.
        """
        entry = {
            "items": json.dumps(list(items)),
            "users": _listed(users),
            "catalogue": json.dumps(list(catalogue)),
            "withdrawn": _listed(withdrawn),
            "rated": "*" if rated is None else _listed(rated),
        }
        self._announce(as_of, entry)

    def announce_anew(self, as_of: AsOf) -> None:
        """Say that the projection was written anew: readers read everything again."""
        self._announce(
            as_of, {"items": "[]", "users": "*", "catalogue": "[]", "withdrawn": "*", "reset": "1"}
        )

    def _announce(self, as_of: AsOf, entry: Mapping[str, str]) -> None:
        fields = as_of.fields()

        def put(pipeline: Pipeline) -> None:
            pipeline.hset(self._keys.state, mapping=cast(Any, {**fields, "format": _FORMAT}))
            pipeline.xadd(
                self._keys.changes,
                cast(Any, {**fields, **entry}),
                maxlen=_KEPT_CHANGES,
                approximate=True,
            )

        self._write(put, same_run=True)

    def serve(self) -> None:
        """Name the model as the one that serves."""
        self._write(lambda pipeline: pipeline.set(keys.serving(self._prefix), self._model))

    def clear(self) -> None:
        """Remove everything of the model except the stream, which readers are following.

        The state goes first: a projection that says how far it reaches is whole.
        """
        self._write(lambda pipeline: pipeline.delete(self._keys.state))
        self._remove_but({self._keys.changes, self._writer})

    def forget(self) -> None:
        """Remove everything of a model that is no longer learned; the stream, its mark, last."""
        if self._redis.exists(self._keys.changes):
            self.claim()
            self.clear()
            self._redis.unlink(self._keys.changes, self._writer)

    def _remove_but(self, kept: set[str]) -> None:
        some: list[bytes] = []

        def remove(pipeline: Pipeline) -> None:
            pipeline.unlink(*some)

        for key in self._redis.scan_iter(match=f"{self._keys.start}*", count=_PER_ROUND_TRIP):
            if key.decode() not in kept:
                some.append(key)
            if len(some) >= _PER_ROUND_TRIP:
                self._write(remove)
                some.clear()
        if some:
            self._write(remove)

    def _write(self, put: Callable[[Pipeline], object], *, same_run: bool = False) -> None:
        """One transaction, which has no effect unless the claim holds.

        With `same_run` it must also be the Redis that the claim was made in: one that came back
        from an old dump would have the claim, without all that was written since.
        """
        if not self._claim:
            self.claim()
        with self._redis.pipeline(transaction=True) as pipeline:
            cast(Any, pipeline).watch(self._writer)  # and so this connection is kept until the end
            if cast("bytes | None", pipeline.get(self._writer)) != self._claim:
                raise ClaimLost("the projection was emptied, or has another writer")
            if same_run and cast(Any, pipeline.info("server"))["run_id"] != self._run:
                raise ClaimLost("Redis was started anew in the meantime")
            pipeline.multi()
            put(pipeline)
            pipeline.execute()


def _listed(users: Sequence[str]) -> str:
    return json.dumps(list(users)) if len(users) <= _LISTED_USERS else "*"
