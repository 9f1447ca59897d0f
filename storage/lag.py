"""How many records wait in the log: told through Redis, since not everybody may ask Kafka."""

from __future__ import annotations

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from storage import keys
from storage.redis_client import address
from storage.settings import RedisSettings

HOLDS = 10
"""Seconds for which what was told is believed: a modeler that has ended tells nothing any more."""


class LagBoard:
    """Where the modeler writes the lag; `storage.following.ProjectionReader` reads it.

    Parameters
    ----------
    settings : RedisSettings
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._key = keys.lag(settings.redis_prefix)
        # One try and a short wait: what could not be told now is told a moment later.
        self._redis = redis.Redis.from_url(
            address(settings),
            socket_timeout=1.0,
            socket_connect_timeout=1.0,
            retry=Retry(NoBackoff(), 0),
        )

    def put(self, records: int) -> None:
        """Say how many records are in the log, but not learned.

        Raises
        ------
        redis.RedisError
            If Redis is away.
        """
        self._redis.set(self._key, records, ex=HOLDS)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
