"""What the projection's writer writes, its reader reads: one contract, two modules."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import numpy as np
import pyarrow as pa
import pytest
import redis

from modeler.health import StreamHealth
from modeler.lag import telling
from recommender.errors import Unavailable
from recommender.rows import RowFormat, Rows
from storage.as_of import AsOf
from storage.following import ProjectionReader
from storage.projection import Projection
from storage.settings import RedisSettings

FORM = RowFormat(rank=2, ranking_rank=1)
STATE = AsOf(
    batch=5, offsets={"ratings": {0: 7, 11: 3}}, rating_sum=31.5, rating_count=10, at=1.75e9
)


@asynccontextmanager
async def reading(url: str):
    reader = ProjectionReader(url, "recommender", timeout=2.0)
    try:
        yield reader
    finally:
        await reader.close()


@pytest.fixture
def projection(redis_url):
    made = Projection(RedisSettings(redis_url=redis_url), model=3)
    yield made
    made.close()


def row(n: int, bias: float) -> bytes:
    rows = Rows.empty(1, FORM)
    rows.n[:], rows.bias[:], rows.factors[:], rows.ranking[:] = n, bias, [0.25, -1.0], 0.5
    return rows.pack().tobytes()


def test_a_micro_batch_arrives_whole(projection, redis_url):
    async def follow():
        async with reading(redis_url) as reader:
            assert await reader.serving() is None
            assert await reader.state(3) is None
            before = await reader.last_change(3)
            waiting = asyncio.create_task(reader.changes(3, before, wait=5.0))
            await asyncio.to_thread(write)
            (change,) = await waiting
            users = await reader.users(3, ["ü", "nobody"])
            bare = await reader.users(3, ["ü"], with_ratings=False)
            items = await reader.item_rows(3, ["a", "unknown", "b:c"])
            serving, state = await reader.serving(), await reader.state(3)
            again = await reader.changes(3, change.id, wait=0.01)
            assert await reader.last_change(3) == change.id
        return change, users, bare, items, serving, state, again

    def write():
        projection.put_rows("user", ["ü"], [row(2, 0.5)])
        projection.put_rows("item", ["a", "b:c"], [row(1, 1.5), row(4, -1.0)])
        projection.put_ratings(
            pa.array(["ü"] * 3), pa.array(["a", "b:c", "a"]), np.array([3.0, 4.5, 0.5], np.float32)
        )
        projection.announce(
            STATE, users=["ü", "x"], items=["a", "b:c"], catalogue=["a"], rated=["ü"]
        )
        projection.serve()

    change, users, bare, items, serving, state, again = asyncio.run(follow())
    assert (change.as_of, change.items, change.users) == (STATE, ["a", "b:c"], ["ü", "x"])
    assert change.rated == ["ü"]
    assert (change.catalogue, change.reset) == (["a"], False)
    assert (serving, state, again) == (3, STATE, [])
    known, nobody = users
    assert (known.row, known.rated, known.batch) == (row(2, 0.5), {"a": 0.5, "b:c": 4.5}, 5)
    assert (nobody.row, nobody.rated, nobody.batch) == (None, {}, 5)
    assert (bare[0].row, bare[0].rated) == (known.row, None)
    assert items == [row(1, 1.5), None, row(4, -1.0)]
    assert np.isclose(FORM.unpack(items[2])["bias"][0], -1.0)


def test_many_users_are_not_named_and_a_reset_is_seen(projection, redis_url):
    async def follow():
        async with reading(redis_url) as reader:
            return await reader.changes(3, "0-0", wait=1.0)

    projection.announce(STATE, [str(user) for user in range(100_000)], ["a"], [])
    projection.announce_anew(STATE)
    many, anew = asyncio.run(follow())
    assert (many.users, many.rated, many.reset) == (None, None, False)
    assert anew.reset is True


def test_a_redis_that_is_not_there_or_holds_rubbish_is_unavailable(projection, redis_url):
    async def ask(url: str, what: str) -> None:
        async with reading(url) as reader:
            with pytest.raises(Unavailable, match=what):
                await reader.state(3)

    projection._redis.hset("recommender:3:state", mapping={"batch": "soon"})
    asyncio.run(ask(redis_url, "does not hold what it should"))
    asyncio.run(ask("redis://127.0.0.1:1/0", "not available"))


def test_the_lag_is_told_while_it_is_known_and_forgotten_soon_after(redis_url):
    settings = RedisSettings(redis_url=redis_url)
    health = StreamHealth(published=False)

    async def ask():
        async with reading(redis_url) as reader:
            serving, lag = await reader.serving_and_lag()
            assert serving is None
            return lag

    def awaited(wanted):
        for _ in range(500):
            if (found := asyncio.run(ask())) == wanted:
                return found
            time.sleep(0.01)
        return found

    with telling(settings, health, every=0.01):
        assert asyncio.run(ask()) is None  # nothing learns yet
        health.started(lambda: 1234)
        assert awaited(1234) == 1234
        with redis.Redis.from_url(redis_url) as client:
            assert 0 < client.ttl("recommender:lag") <= 10
        health.stopped()
        with redis.Redis.from_url(redis_url) as client:
            client.delete("recommender:lag")
        time.sleep(0.05)
        assert asyncio.run(ask()) is None
