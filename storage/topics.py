"""The topics of the log: made once, and how far each of them goes."""

from __future__ import annotations

from functools import partial

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, if not by __all__
    AdminClient,
    NewTopic,
    OffsetSpec,
)

from storage.kafka_client import client_options, patiently, raise_unavailable
from storage.settings import KafkaSettings

log = structlog.get_logger(__name__)

REQUEST_TIMEOUT = 10.0
"""Seconds for one administrative request; a broker under load takes one or two."""

MAX_DEAD_LETTER_BYTES = 4 * 2**20
"""Largest letter: a record of Kafka's default limit, 1 MiB, grows by a third in base64."""

_SAFE_REPLICAS = 3  # from here on one replica may fail while writes go on, with two in sync


def create_topics(settings: KafkaSettings, within: float = 60.0) -> list[str]:
    """Make those topics that are not there yet; nothing is changed about those that are.

    Parameters
    ----------
    settings : KafkaSettings
        Names, partitions and replicas.
    within : float
        Seconds to wait for Kafka to answer at all.

    Returns
    -------
    list of str
        The topics made by this call.

    Raises
    ------
    Unavailable
        If Kafka does not answer, or refuses.
    """
    client = AdminClient(client_options(settings))
    existing = patiently(
        lambda: client.list_topics(timeout=min(within, REQUEST_TIMEOUT)), within
    ).topics
    ratings = existing.get(settings.ratings_topic)
    if ratings is not None and len(ratings.partitions) != settings.partitions:
        # Adding partitions would send a user's next ratings elsewhere, out of their order.
        log.warning(
            "topic keeps its partitions",
            topic=settings.ratings_topic,
            partitions=len(ratings.partitions),
            setting=settings.partitions,
        )
    wanted = [topic for topic in _topics(settings) if topic.topic not in existing]
    made = []
    if wanted:
        for name, future in client.create_topics(
            wanted, operation_timeout=REQUEST_TIMEOUT, request_timeout=REQUEST_TIMEOUT
        ).items():
            try:
                future.result(timeout=2 * REQUEST_TIMEOUT)
                made.append(name)
            except KafkaException as exception:
                # Another process was quicker.
                if exception.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise_unavailable(exception)
    for name in made:
        # Ready is what has leaders; the answer to the creation comes earlier than those.
        patiently(partial(_end_offsets, client, name), within, final=())
    if made:
        log.info("topics created", topics=made)
    return made


def _topics(settings: KafkaSettings) -> list[NewTopic]:
    replicas = settings.replication_factor
    keep = {
        "retention.ms": "-1",  # a new model is trained from all ratings ever given
        "min.insync.replicas": "2" if replicas >= _SAFE_REPLICAS else "1",
    }
    return [
        NewTopic(settings.ratings_topic, settings.partitions, replicas, config=keep),
        NewTopic(settings.items_topic, 1, replicas, config=keep | {"cleanup.policy": "compact"}),
        NewTopic(
            settings.dead_letter_topic,
            1,
            replicas,
            config=keep | {"max.message.bytes": str(MAX_DEAD_LETTER_BYTES)},
        ),
    ]


def end_offsets(
    settings: KafkaSettings, topic: str, within: float = REQUEST_TIMEOUT
) -> dict[int, int]:
    """How far a topic goes.

    Parameters
    ----------
    settings : KafkaSettings
    topic : str
    within : float
        Seconds to wait for Kafka; a topic made a moment ago has no leader yet, for example.

    Returns
    -------
    dict
        Partition to the offset that its next record will have.

    Raises
    ------
    Unavailable
        If Kafka does not answer, or has no such topic.
    """
    client = AdminClient(client_options(settings))
    return patiently(lambda: _end_offsets(client, topic), within)


def _end_offsets(client: AdminClient, topic: str) -> dict[int, int]:
    described = client.list_topics(topic, timeout=REQUEST_TIMEOUT).topics[topic]
    if described.error is not None:
        raise KafkaException(described.error)
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, number): latest for number in described.partitions}
    found = client.list_offsets(asked, request_timeout=REQUEST_TIMEOUT)
    return {place.partition: future.result().offset for place, future in found.items()}
