"""The projection written and read as an ACL user of the rights that the documents name."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from local.redis_server import RedisServer
from storage.as_of import AsOf
from storage.following import ProjectionReader
from storage.projection import Projection
from storage.redis_client import address
from storage.settings import RedisSettings

# docs/openshift.md, "With stores of your own".
RULES = ["~recommender:*", "+@all", "-@admin", "+client|setname"]
PASSWORD = "p@ss/w:rd"


@pytest.fixture
def settings(redis_server: RedisServer) -> Iterator[RedisSettings]:
    """A user of its own, and the URL without one."""
    user = f"user-{uuid.uuid4().hex[:8]}"
    with redis.Redis.from_url(redis_server.url) as admin:
        admin.execute_command("ACL", "SETUSER", user, "on", f">{PASSWORD}", *RULES)
        parts = urlsplit(redis_server.url)
        yield RedisSettings(
            redis_url=f"redis://{parts.hostname}:{parts.port}/0",
            redis_username=user,
            redis_password=PASSWORD,
        )
        admin.execute_command("ACL", "DELUSER", user)
        admin.flushall()


def test_the_user_of_the_settings_writes_and_reads(settings: RedisSettings) -> None:
    projection = Projection(settings, 1)
    projection.claim()
    as_of = AsOf(batch=3, offsets={"ratings": {0: 7}}, rating_sum=4.0, rating_count=1)
    projection.announce(as_of, ["u"], ["i"], [])
    projection.close()

    async def state() -> AsOf | None:
        reader = ProjectionReader(address(settings), settings.redis_prefix, 1.0)
        try:
            return await reader.state(1)
        finally:
            await reader.close()

    found = asyncio.run(state())
    assert found is not None
    assert (found.batch, found.offsets) == (3, {"ratings": {0: 7}})


def test_it_may_touch_no_other_keys_and_not_administer(settings: RedisSettings) -> None:
    with redis.Redis.from_url(address(settings)) as client:
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.set("somebody-else", "1")
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.config_get("maxmemory")


def test_a_wrong_password_is_refused(settings: RedisSettings) -> None:
    wrong = settings.model_copy(update={"redis_password": type(settings.redis_password)("no")})
    with (
        redis.Redis.from_url(address(wrong)) as client,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        client.ping()
