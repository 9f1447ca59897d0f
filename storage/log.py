"""Writing to the log: nothing counts as written before Kafka has acknowledged it on all replicas.

`RatingLog` is for services: awaited, quick for one record, bounded in time. `load` is for loaders:
a stream of any length in bounded memory. Records with one key stay in order; their partition is
that of Kafka's own Java clients (murmur2 of the key), so every writer in any language agrees.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from recommender.errors import Unavailable
from storage.kafka_client import (
    CLIENT_LOG,
    STORE,
    client_options,
    raise_unavailable,
    unavailable,
)
from storage.settings import KafkaSettings
from storage.topics import MAX_DEAD_LETTER_BYTES

log = structlog.get_logger(__name__)

Record = tuple[bytes, bytes | None]
"""Key and value; a value of ``None`` deletes the key from a compacted topic."""

_POLL = 0.5  # seconds; only how late a close is noticed, reports are handled as they come
_SCAN = 2.0  # seconds; librdkafka looks for records that took too long once a second
_LOAD_DELIVERY = 60.0  # seconds; nobody waits for one record of many, a pause of the broker is fine
_LOAD_LINGER = 0.02  # seconds; full batches are worth it where only the rate counts
_LOAD_QUEUE = 100_000  # records in memory


class Position(NamedTuple):
    """Where a record is in the log."""

    topic: str
    partition: int
    offset: int


def _producer_options(settings: KafkaSettings, delivery_timeout: float) -> dict[str, Any]:
    return client_options(settings) | {
        "acks": "all",
        "enable.idempotence": True,  # a repeated send neither doubles nor reorders records
        "partitioner": "murmur2_random",
        "message.timeout.ms": round(delivery_timeout * 1000),
        "compression.type": "lz4",
        # The topic has the last word on what is too large; of the dead-letter topic it is more.
        "message.max.bytes": MAX_DEAD_LETTER_BYTES,
    }


class _Delivery:
    """The fate of the records of one call; filled by the thread that polls."""

    __slots__ = ("error", "future", "missing", "positions", "topic")

    def __init__(self, topic: str, count: int, future: asyncio.Future[list[Position]]) -> None:
        self.topic = topic
        self.future = future
        self.missing = count
        self.positions: list[Position | None] = [None] * count
        self.error: KafkaError | None = None

    def give_up(self, limit: float) -> None:
        """Let the caller wait no longer; in the caller's event loop."""
        if not self.future.done():
            self.future.set_exception(Unavailable(STORE, f"no acknowledgement within {limit:g} s"))

    def settle(self) -> None:
        """Give the caller the result; in the caller's event loop."""
        if self.future.done():  # the caller has left
            return
        if self.error is not None:
            self.future.set_exception(unavailable(self.error))
        else:
            self.future.set_result([place for place in self.positions if place is not None])


class RatingLog:
    """Publishes records and answers with their positions; for asyncio.

    One thread handles Kafka's reports for all callers, so a record costs no thread hop and a call
    wakes the event loop once, however many records it has.

    Parameters
    ----------
    settings : KafkaSettings
        Where Kafka is; `kafka_delivery_timeout` bounds each call.

    Examples
    --------
    >>> async def one() -> None:
    ...     async with RatingLog(KafkaSettings()) as log:
    ...         await log.publish("ratings", [(b"u", b"{}")])
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._finished: deque[_Delivery] = deque()  # from the polling thread to the loop
        self._closing = False
        self._failed: str | None = None

    async def __aenter__(self) -> Self:
        """Start; Kafka need not be there yet."""
        self._loop = asyncio.get_running_loop()
        self._producer = self._new_producer()
        self._thread = threading.Thread(target=self._poll, name="kafka-reports", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give what is on its way the time that it may take, then stop."""
        left = await asyncio.to_thread(
            self._producer.flush, self._settings.kafka_delivery_timeout + _SCAN
        )
        if left:
            log.warning("closed with records on their way", records=left)
        self._closing = True
        await asyncio.to_thread(self._thread.join)

    def _new_producer(self) -> Producer:
        options = _producer_options(self._settings, self._settings.kafka_delivery_timeout) | {
            "linger.ms": self._settings.kafka_linger * 1000,
            "queue.buffering.max.messages": self._settings.kafka_queue,
            "error_cb": self._on_error,
        }
        return Producer(options, logger=CLIENT_LOG)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failed = error.str()

    def _poll(self) -> None:
        while not self._closing:
            self._producer.poll(_POLL)
            if self._finished:
                self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        while self._finished:
            self._finished.popleft().settle()

    def _report(
        self, delivery: _Delivery, index: int, error: KafkaError | None, message: Message
    ) -> None:
        if error is not None:
            delivery.error = error
        else:
            delivery.positions[index] = Position(
                delivery.topic,
                message.partition(),  # type: ignore[arg-type]  # a delivered record has both
                message.offset(),  # type: ignore[arg-type]
            )
        delivery.missing -= 1
        if not delivery.missing:
            self._finished.append(delivery)

    async def publish(self, topic: str, records: Sequence[Record]) -> list[Position]:
        """Write records and wait until all of them are acknowledged.

        Parameters
        ----------
        topic : str
        records : sequence of (bytes, bytes or None)
            Key and value of each.

        Returns
        -------
        list of Position
            One for each record, in the same order.

        Raises
        ------
        Unavailable
            If not all were acknowledged in time. Some may be in the log nonetheless: whoever sends
            again needs ids by which a second delivery is recognised.
        """
        if not records:
            return []
        if self._failed is not None:
            self._replace_producer()
        producer = self._producer
        if len(producer) + len(records) > self._settings.kafka_queue:
            raise Unavailable(STORE, "too many records are waiting for its acknowledgement")
        delivery = _Delivery(topic, len(records), self._loop.create_future())
        try:
            for index, (key, value) in enumerate(records):
                producer.produce(
                    topic, value, key, on_delivery=partial(self._report, delivery, index)
                )
        except KafkaException as exception:
            raise_unavailable(exception)
        except BufferError as error:
            raise Unavailable(STORE, "its queue is full") from error
        limit = self._settings.kafka_delivery_timeout + _SCAN
        # asyncio.timeout would do the same for 4 µs of a record's 40.
        giving_up = self._loop.call_later(limit, delivery.give_up, limit)
        try:
            return await delivery.future
        finally:
            giving_up.cancel()

    def _replace_producer(self) -> None:
        """Go on after an error that the producer calls fatal: it refuses all further work."""
        log.error("producer replaced", reason=self._failed)
        self._failed = None
        failed, self._producer = self._producer, self._new_producer()
        # What waits in the old one is reported as failed; only somebody must ask it to.
        self._loop.run_in_executor(None, failed.flush, self._settings.kafka_delivery_timeout)

    async def trouble(self, topics: Iterable[str], within: float = 0.8) -> list[str]:
        """Say why nothing could be written now; nothing: all is well.

        Parameters
        ----------
        topics : iterable of str
            Topics that must be there.
        within : float
            Seconds in which Kafka must answer; less than the second that probes usually have.
        """
        try:
            known = await asyncio.to_thread(self._producer.list_topics, timeout=within)
        except KafkaException as exception:
            return [str(unavailable(exception.args[0]))]
        return [f"Kafka has no topic {name}" for name in topics if name not in known.topics]


def load(settings: KafkaSettings, topic: str, records: Iterable[Record]) -> int:
    """Write any number of records, as fast as Kafka takes them, in bounded memory.

    Parameters
    ----------
    settings : KafkaSettings
    topic : str
    records : iterable of (bytes, bytes or None)
        Key and value of each; read as they are needed.

    Returns
    -------
    int
        Number of records, all of them acknowledged.

    Raises
    ------
    Unavailable
        If any was not acknowledged; those before it may be in the log.
    """
    errors: list[KafkaError] = []

    def report(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            errors.append(error)

    producer = Producer(
        _producer_options(settings, _LOAD_DELIVERY)
        | {
            "linger.ms": _LOAD_LINGER * 1000,
            "queue.buffering.max.messages": _LOAD_QUEUE,
            "delivery.report.only.error": True,  # a report of each success would halve the rate
            "on_delivery": report,
        },
        logger=CLIENT_LOG,
    )
    count = 0
    try:
        for key, value in records:
            while True:
                try:
                    producer.produce(topic, value, key)
                    break
                except BufferError:  # wait for room; bounded, since every record's time is
                    producer.poll(0.1)
                    if errors:
                        raise unavailable(errors[0]) from None
            count += 1
            if errors:
                raise unavailable(errors[0])
    except KafkaException as exception:
        raise_unavailable(exception)
    left = producer.flush(_LOAD_DELIVERY + _SCAN)
    if errors:
        raise unavailable(errors[0])
    if left:
        raise Unavailable(
            STORE, f"{left} records without acknowledgement after {_LOAD_DELIVERY:g} s"
        )
    return count
