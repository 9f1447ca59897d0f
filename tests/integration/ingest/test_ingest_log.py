"""The log with a real broker: topics, positions, bulk, dead letters, a broker that goes away."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from local.kafka import Kafka
from recommender.errors import Unavailable
from storage.dead_letters import DeadLetter, list_dead_letters, publish_dead_letters
from storage.log import Position, RatingLog, Record, load
from storage.settings import KafkaSettings
from storage.topics import create_topics, end_offsets

WITHIN = 30.0  # seconds


@pytest.fixture
def topics(settings: KafkaSettings) -> KafkaSettings:
    """Topics of this test alone, made."""
    create_topics(settings)
    return settings


@pytest.fixture
def consumer(kafka: Kafka) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": uuid.uuid4().hex,
            "fetch.wait.max.ms": 10,
        }
    )
    yield consumer
    consumer.close()


def read(consumer: Consumer, position: Position) -> Record:
    """The record at a position."""
    consumer.assign([TopicPartition(position.topic, position.partition, position.offset)])
    message = consumer.poll(WITHIN)
    assert message is not None
    assert message.error() is None
    return message.key() or b"", message.value()


def test_topics_are_made_once_as_the_settings_say(topics: KafkaSettings) -> None:
    assert create_topics(topics) == []
    assert end_offsets(topics, topics.ratings_topic) == dict.fromkeys(range(4), 0)
    assert end_offsets(topics, topics.items_topic) == {0: 0}
    more = topics.model_copy(update={"partitions": 8})
    assert create_topics(more) == []  # keys would move to other partitions
    assert len(end_offsets(topics, topics.ratings_topic)) == 4


def test_offsets_of_an_unknown_topic_are_an_error(topics: KafkaSettings) -> None:
    with pytest.raises(Unavailable, match=r"[Uu]nknown topic"):
        end_offsets(topics, "no-such-topic")


def test_each_record_is_where_its_position_says(topics: KafkaSettings, consumer: Consumer) -> None:
    topic = topics.ratings_topic
    records: list[Record] = [(b"user%d" % (n % 5), b"value%d" % n) for n in range(20)]

    async def publish() -> list[Position]:
        async with RatingLog(topics) as log:
            assert await log.trouble([topic]) == []
            assert await log.trouble([topic, "nope"]) == ["Kafka has no topic nope"]
            assert await log.publish(topic, []) == []
            return await log.publish(topic, records)

    positions = asyncio.run(publish())
    assert [read(consumer, position) for position in positions] == records
    assert len(set(positions)) == 20
    for user in range(5):  # one user, one partition, in order
        mine = positions[user::5]
        assert len({position.partition for position in mine}) == 1
        assert mine == sorted(mine)


def test_keys_go_where_javas_clients_send_them(topics: KafkaSettings) -> None:
    # org.apache.kafka.common.utils.Utils.murmur2 as in Kafka's own UtilsTest, and
    # partition = (hash & 0x7fffffff) % 4.
    hashes = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    topic = topics.ratings_topic

    async def publish() -> list[Position]:
        async with RatingLog(topics) as log:
            return await log.publish(topic, [(key, b"") for key in hashes])

    expected = [(value & 0x7FFFFFFF) % 4 for value in hashes.values()]
    assert [position.partition for position in asyncio.run(publish())] == expected


def test_many_callers_at_once_each_get_their_own(topics: KafkaSettings, consumer: Consumer) -> None:
    async def publish() -> list[list[Position]]:
        async with RatingLog(topics) as log:
            calls = [
                log.publish(topics.ratings_topic, [(b"%d" % n, b"%d" % n)] * (n % 3 + 1))
                for n in range(100)
            ]
            return await asyncio.gather(*calls)

    answers = asyncio.run(publish())
    assert [len(positions) for positions in answers] == [n % 3 + 1 for n in range(100)]
    for n in (0, 50, 99):
        assert read(consumer, answers[n][-1]) == (b"%d" % n, b"%d" % n)
    assert sum(end_offsets(topics, topics.ratings_topic).values()) == sum(map(len, answers))


def test_loading_writes_everything(topics: KafkaSettings) -> None:
    count = 250_000  # more than the client's queue holds
    records = ((b"%d" % (n % 1000), b"%d" % n) for n in range(count))
    assert load(topics, topics.ratings_topic, records) == count
    assert sum(end_offsets(topics, topics.ratings_topic).values()) == count


def test_dead_letters_are_listed_oldest_first(topics: KafkaSettings) -> None:
    letters = [DeadLetter("ratings", 1, n, f"reason {n}", b"\xff", None) for n in range(5)]
    assert list_dead_letters(topics) == []
    assert publish_dead_letters(topics, letters) == 5
    assert list_dead_letters(topics) == letters
    assert list_dead_letters(topics, limit=2) == letters[3:]


def test_while_kafka_is_away_nothing_is_acknowledged_and_then_it_goes_on(
    topics: KafkaSettings, kafka: Kafka
) -> None:
    topic = topics.ratings_topic

    async def go() -> None:
        async with RatingLog(topics) as log:
            await log.publish(topic, [(b"a", b"before")])
            await asyncio.to_thread(kafka.stop)
            try:
                assert await log.trouble([topic]) != []
                begin = asyncio.get_running_loop().time()
                with pytest.raises(Unavailable):
                    await log.publish(topic, [(b"a", b"during")])
                waited = asyncio.get_running_loop().time() - begin
                # the setting, and librdkafka's look at the clock once a second
                assert waited < topics.kafka_delivery_timeout + 2.0
            finally:
                await asyncio.to_thread(kafka.launch)
                await asyncio.to_thread(kafka.await_ready)
            assert await log.trouble([topic], within=10.0) == []
            await log.publish(topic, [(b"a", b"after")])

    asyncio.run(go())
    assert sum(end_offsets(topics, topic).values()) == 2


def test_a_full_queue_is_refused_at_once(topics: KafkaSettings) -> None:
    small = topics.model_copy(update={"kafka_queue": 1000})

    async def go() -> None:
        async with RatingLog(small) as log:
            with pytest.raises(Unavailable, match="waiting"):
                await log.publish(topics.ratings_topic, [(b"a", b"")] * 1001)
            await log.publish(topics.ratings_topic, [(b"a", b"")] * 1000)

    asyncio.run(go())
    assert sum(end_offsets(topics, topics.ratings_topic).values()) == 1000


def test_a_client_that_reports_nothing_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller gives up 0.2 s on, when librdkafka itself has 0.3 s left."""
    monkeypatch.setattr("storage.log._SCAN", -0.3)
    nowhere = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1", kafka_delivery_timeout=0.5)

    async def go() -> None:
        async with RatingLog(nowhere) as log:
            with pytest.raises(Unavailable, match=r"no acknowledgement within 0\.2 s"):
                await log.publish("ratings", [(b"a", b"")])

    asyncio.run(go())


def test_where_there_is_no_kafka_every_call_says_so_in_time() -> None:
    nowhere = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1", kafka_delivery_timeout=0.5)

    async def go() -> None:
        async with RatingLog(nowhere) as log:
            assert "Kafka is not available" in (await log.trouble(["ratings"]))[0]
            with pytest.raises(Unavailable):
                await log.publish("ratings", [(b"a", b"")])

    asyncio.run(go())
    with pytest.raises(Unavailable):
        create_topics(nowhere, within=0.1)
