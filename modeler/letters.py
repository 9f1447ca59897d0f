"""Sends dead letters on to their topic, from where the truth keeps them; beside the learning."""

from __future__ import annotations

import threading

import structlog
from tenacity import Retrying, stop_when_event_set, wait_random_exponential
from tenacity.nap import sleep_using_event

from modeler.steps import Step, reached
from storage.dead_letters import DeadLetter, list_dead_letters, publish_dead_letters
from storage.settings import KafkaSettings, PostgresSettings
from storage.truth import Truth

log = structlog.get_logger(__name__)

# Letters sent at once.
_AT_ONCE = 500
# ... of about so many bytes: bounds the memory, a letter may have a megabyte.
_BYTES_AT_ONCE = 16 * 2**20


class LetterCarrier:
    """A thread that publishes dead letters whenever there are any.

    A letter is noted as published after Kafka has acknowledged it: none is missing from the topic.
    Where it is not known whether Kafka has the last ones (a process was killed in between, a
    connection was lost), the end of the topic tells, so that none is there twice.

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
        self._unsure = True  # whether some that are not noted may be in the topic
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
            while found := truth.unpublished_dead_letters(_AT_ONCE, _BYTES_AT_ONCE):
                letters = [
                    DeadLetter(topic, partition, offset, reason, _bytes(key), _bytes(value))
                    for topic, partition, offset, reason, key, value in found
                ]
                there = self._places_at_the_end() if self._unsure else set()
                missing = [letter for letter in letters if _place(letter) not in there]
                reached(Step.LETTERS_AHEAD)
                self._unsure = True
                publish_dead_letters(self._kafka, missing)
                reached(Step.LETTERS_PUBLISHED)
                truth.mark_published([_place(letter) for letter in letters])
                self._unsure = False
                log.info("dead letters published", letters=len(missing))
        finally:
            truth.close()

    def _places_at_the_end(self) -> set[tuple[str, int, int]]:
        """Which letters are the last in the topic; what one attempt sent is among so many."""
        return {_place(letter) for letter in list_dead_letters(self._kafka, _AT_ONCE)}


def _place(letter: DeadLetter) -> tuple[str, int, int]:
    return letter.topic, letter.partition, letter.offset


def _bytes(column: memoryview | None) -> bytes | None:
    return None if column is None else bytes(column)
