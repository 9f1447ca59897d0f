"""Hears that the registry of models has changed: one has joined, serves now, or was retired."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable

from storage.postgres_client import connect
from storage.settings import PostgresSettings
from storage.truth import CHANNEL

_LOOK_UP = 1.0  # seconds after which the thread looks whether it is to stop


class Listener:
    """A thread that waits for Postgres to tell.

    Parameters
    ----------
    settings : PostgresSettings
    changed : callable
        Called once for each time that something was told.
    failed : callable
        Called when the connection is lost; nothing is heard after that.
    """

    def __init__(
        self,
        settings: PostgresSettings,
        changed: Callable[[], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        self._changed = changed
        self._failed = failed
        self._stopping = threading.Event()
        self._connection = connect(settings)
        self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if select.select([self._connection], [], [], _LOOK_UP)[0]:
                    self._connection.poll()
                if self._connection.notifies:
                    self._connection.notifies.clear()
                    self._changed()
        except BaseException as error:
            self._failed(error)
