"""Records of the log that could not be read: kept in a topic of their own, with the reason.

A letter may be there twice, where its writer was killed before it noted having written it; the
place it came from tells.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from recommender.errors import Unavailable
from storage.kafka_client import STORE, client_options, raise_unavailable
from storage.log import load
from storage.settings import KafkaSettings

_TIMEOUT = 10.0  # seconds for an answer of Kafka's, and between two records while reading


@dataclass(frozen=True)
class DeadLetter:
    """A record that could not be learned.

    Parameters
    ----------
    topic, partition, offset
        Where it is in the log.
    reason : str
        What is wrong with it: field, value, what is allowed.
    key, value : bytes or None
        What it holds, untouched.
    """

    topic: str
    partition: int
    offset: int
    reason: str
    key: bytes | None
    value: bytes | None

    def encode(self) -> tuple[bytes, bytes]:
        """Key and value of the letter's own record."""
        content = {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "reason": self.reason,
            "key": _to_text(self.key),
            "value": _to_text(self.value),
        }
        return f"{self.topic}:{self.partition}:{self.offset}".encode(), json.dumps(content).encode()

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read what `encode` wrote.

        Raises
        ------
        ValueError, KeyError
            If it is not a dead letter.
        """
        content: dict[str, Any] = json.loads(value)
        return cls(
            topic=content["topic"],
            partition=int(content["partition"]),
            offset=int(content["offset"]),
            reason=content["reason"],
            key=_to_bytes(content["key"]),
            value=_to_bytes(content["value"]),
        )


def _to_text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _to_bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def publish_dead_letters(settings: KafkaSettings, letters: Iterable[DeadLetter]) -> int:
    """Write letters and wait until Kafka has acknowledged all of them; gives their number.

    Raises
    ------
    Unavailable
        If not all were acknowledged; write them again.
    """
    return load(settings, settings.dead_letter_topic, (letter.encode() for letter in letters))


def list_dead_letters(settings: KafkaSettings, limit: int = 100) -> list[DeadLetter]:
    """Read the latest letters, oldest first.

    Parameters
    ----------
    settings : KafkaSettings
    limit : int
        At most so many.

    Raises
    ------
    Unavailable
        If Kafka does not answer.
    """
    topic = settings.dead_letter_topic
    consumer = Consumer(
        client_options(settings)
        | {
            "group.id": "dead-letters-listing",  # obligatory; nothing is committed under it
            "enable.auto.commit": False,
            "enable.partition.eof": False,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=_TIMEOUT).topics[topic].partitions
        letters: list[DeadLetter] = []
        for number in partitions:
            letters += _read(consumer, TopicPartition(topic, number), limit)
        return letters[-limit:]
    except KafkaException as exception:
        raise_unavailable(exception)
    finally:
        consumer.close()


def _read(consumer: Consumer, place: TopicPartition, limit: int) -> list[DeadLetter]:
    first, end = consumer.get_watermark_offsets(place, timeout=_TIMEOUT)
    offset = max(first, end - limit)
    if offset == end:
        return []
    consumer.assign([TopicPartition(place.topic, place.partition, offset)])
    letters = []
    while offset < end:
        message = consumer.poll(_TIMEOUT)
        if message is None:
            raise Unavailable(STORE, f"no record within {_TIMEOUT:g} s")
        error = message.error()
        if error is not None:
            raise KafkaException(error)
        letters.append(DeadLetter.decode(message.value() or b""))
        offset = (message.offset() or 0) + 1
    return letters
