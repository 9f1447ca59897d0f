"""Sends dead letters on to their topic, from where the truth keeps them; beside the learning."""

from __future__ import annotations

import threading

import structlog
from tenacity import Retrying, stop_when_event_set, wait_random_exponential
from tenacity.nap import sleep_using_event

from storage.dead_letters import DeadLetter, publish_dead_letters
from storage.settings import KafkaSettings, PostgresSettings
from storage.truth import Truth

log = structlog.get_logger(__name__)

# Letters sent at once.
_AT_ONCE = 500


class LetterCarrier:
    """A thread that publishes dead letters whenever there are any.

    A letter is noted as published after Kafka has acknowledged it: none is missing from the topic,
    and one may be there twice if the process is killed in between.

    Parameters
    ----------
    kafka : KafkaSettings
    postgres : PostgresSettings
    """

    def __init__(self, kafka: KafkaSettings, postgres: PostgresSettings) -> None:
        self._kafka = kafka
        self._postgres = postgres
        self._wanted = threading.Event()
        self._wanted.set()  # some may be left from before
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="letters", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There are dead letters to publish."""
        self._wanted.set()

    def close(self, timeout: float = 5.0) -> None:
        """Stop after what is being done; what is left is published by the next modeler."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while self._wanted.wait() and not self._stopping.is_set():
            self._wanted.clear()
            for attempt in Retrying(
                wait=wait_random_exponential(multiplier=0.2, max=10),
                stop=stop_when_event_set(self._stopping),
                sleep=sleep_using_event(self._stopping),
                retry_error_callback=lambda _: None,
            ):
                with attempt:
                    self._publish_all()
                if attempt.retry_state.outcome is not None and attempt.retry_state.outcome.failed:
                    reason = str(attempt.retry_state.outcome.exception())
                    log.warning("dead letters wait", reason=reason)

    def _publish_all(self) -> None:
        truth = Truth(self._postgres)
        try:
            while letters := truth.unpublished_dead_letters(_AT_ONCE):
                publish_dead_letters(
                    self._kafka,
                    [
                        DeadLetter(topic, partition, offset, reason, _bytes(key), _bytes(value))
                        for topic, partition, offset, reason, key, value in letters
                    ],
                )
                truth.mark_published([letter[:3] for letter in letters])
                log.info("dead letters published", letters=len(letters))
        finally:
            truth.close()


def _bytes(column: memoryview | None) -> bytes | None:
    return None if column is None else bytes(column)
