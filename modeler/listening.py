"""Hears that other models are to be learned: one has joined, serves now, or was retired."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable

from storage.models import CHANNEL
from storage.postgres_client import connect
from storage.settings import PostgresSettings
from storage.truth import Lease

_LOOK_UP = 1.0  # seconds after which the thread looks whether it is to stop


class Listener:
    """A thread that waits for Postgres to tell.

    Parameters
    ----------
    settings : PostgresSettings
    lease : Lease
        The models that are learned.
    changed : callable
        Called when they are others, or another one serves.
    failed : callable
        Called when the connection is lost; nothing is heard after that.
    """

    def __init__(
        self,
        settings: PostgresSettings,
        lease: Lease,
        changed: Callable[[], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        self._lease = lease
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
                told = bool(self._connection.notifies)
                self._connection.notifies.clear()
                if told and self._are_others():
                    self._changed()
        except BaseException as error:
            self._failed(error)

    def _are_others(self) -> bool:
        with self._connection.cursor() as cursor:
            cursor.execute(
                """SELECT model FROM models WHERE status IN ('candidate', 'serving')
                   ORDER BY status DESC, model"""
            )
            return [model for (model,) in cursor.fetchall()] != list(self._lease.models)
