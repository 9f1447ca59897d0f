"""Tells the predictor how far behind the log the modeler is: only the modeler may ask Kafka."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from redis import RedisError

from modeler.health import HEALTH, StreamHealth
from storage.lag import LagBoard
from storage.settings import RedisSettings

log = structlog.get_logger(__name__)

# Seconds between two looks: a reader's page is not drawn more often, and each asks Kafka.
_EVERY = 1.0


@contextmanager
def telling(
    settings: RedisSettings, health: StreamHealth = HEALTH, every: float = _EVERY
) -> Iterator[None]:
    """Tell, from a thread, as long as this lasts; nothing where it is not known.

    Parameters
    ----------
    settings : RedisSettings
    health : StreamHealth
        Finds it out.
    every : float
        Seconds.
    """
    stopping = threading.Event()
    board = LagBoard(settings)

    def tell() -> None:
        while not stopping.wait(every):
            behind = health.behind()
            if math.isnan(behind):
                continue
            try:
                board.put(int(behind))
            except RedisError as error:
                log.debug("lag not told", reason=str(error))

    thread = threading.Thread(target=tell, name="lag", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(5.0)
        board.close()
