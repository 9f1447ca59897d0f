"""``python -m ingest`` with a real broker: what it acknowledges is in the log, whatever happens."""

from __future__ import annotations

import json
import threading
import uuid

import httpx
import tenacity
from confluent_kafka import Consumer, TopicPartition

from local.kafka import Kafka
from storage.settings import KafkaSettings
from storage.topics import create_topics, end_offsets

WITHIN = 60.0  # seconds


def everything(settings: KafkaSettings, topic: str) -> dict[tuple[int, int], bytes]:
    """Values of a topic by partition and offset."""
    ends = end_offsets(settings, topic)
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "group.id": uuid.uuid4().hex,
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
        found = {}
        while len(found) < sum(ends.values()):
            message = consumer.poll(WITHIN)
            assert message is not None
            assert message.error() is None
            found[message.partition() or 0, message.offset() or 0] = message.value() or b""
        return found
    finally:
        consumer.close()


def test_ready_once_kafka_has_the_topics(ingest: httpx.Client, settings: KafkaSettings) -> None:
    assert ingest.get("/health/live").status_code == 200
    answer = ingest.get("/health/ready")
    assert answer.status_code == 503
    assert f"Kafka has no topic {settings.ratings_topic}" in answer.json()["detail"]
    create_topics(settings)
    assert ingest.get("/health/ready").status_code == 200


def test_what_is_posted_is_in_the_log_where_the_answer_says(
    ingest: httpx.Client, settings: KafkaSettings
) -> None:
    create_topics(settings)
    sent = [
        {"user": f"u{n}", "item": "m", "rating": 0.5 + n % 10 / 2, "timestamp": n}
        for n in range(1000)
    ]
    answer = ingest.post("/ratings", json=sent)
    assert answer.status_code == 202
    places = answer.json()["records"]
    held = everything(settings, settings.ratings_topic)
    assert [json.loads(held[place["partition"], place["offset"]]) for place in places] == sent
    item = {"title": "T", "attributes": {"genres": ["Drama"], "year": 1999}}
    assert ingest.put("/items/m", json=item).status_code == 202
    (entry,) = everything(settings, settings.items_topic).values()
    assert json.loads(entry) == {"item": "m", **item}


def test_an_upload_is_in_the_log_and_the_answer_says_how_far_it_reaches(
    ingest: httpx.Client, settings: KafkaSettings
) -> None:
    create_topics(settings)
    count = 50_000
    body = "user,item,rating\n" + "".join(
        f"u{n % 99},m{n},{n % 9 / 2 + 0.5}\n" for n in range(count)
    )
    headers = {"Content-Type": "text/csv"}
    answer = ingest.post("/bulk/ratings", content=f"{body}u,m,9\n", headers=headers)
    assert answer.status_code == 202
    found = answer.json()
    assert (found["accepted"], found["rejected"]) == (count, 1)
    assert [wrong["line"] for wrong in found["errors"]] == [count + 2]
    ends = end_offsets(settings, settings.ratings_topic)
    assert found["offsets"] == {str(partition): end for partition, end in ends.items()}
    assert sum(ends.values()) == count
    held = [json.loads(value) for value in everything(settings, settings.ratings_topic).values()]
    assert {(one["user"], one["item"], one["rating"]) for one in held} == {
        (f"u{n % 99}", f"m{n}", n % 9 / 2 + 0.5) for n in range(count)
    }


def test_one_wrong_rating_keeps_the_whole_list_out(
    ingest: httpx.Client, settings: KafkaSettings
) -> None:
    create_topics(settings)
    good = {"user": "u", "item": "m", "rating": 4}
    assert ingest.post("/ratings", json=[good, good | {"rating": 5.5}, good]).status_code == 422
    assert set(end_offsets(settings, settings.ratings_topic).values()) == {0}


def test_what_is_acknowledged_is_in_the_log_though_kafka_stops_in_between(
    ingest: httpx.Client, settings: KafkaSettings, kafka: Kafka
) -> None:
    create_topics(settings)
    acknowledged: dict[str, tuple[int, int]] = {}
    statuses: set[int] = set()
    refused = threading.Event()
    back = threading.Event()
    end = threading.Event()

    def post(client: httpx.Client, number: int) -> None:
        event = f"{threading.get_ident()}-{number}"
        rating = {"user": f"u{number % 7}", "item": "m", "rating": 4, "event_id": event}
        answer = client.post("/ratings", json=rating)
        statuses.add(answer.status_code)
        if answer.status_code == 202:
            (place,) = answer.json()["records"]
            acknowledged[event] = place["partition"], place["offset"]
            if refused.is_set():
                back.set()
        else:
            assert int(answer.headers["Retry-After"]) >= 1
            refused.set()

    def keep_posting() -> None:
        with httpx.Client(base_url=ingest.base_url, timeout=WITHIN) as client:
            number = 0
            while not end.is_set():
                post(client, number)
                number += 1

    threads = [threading.Thread(target=keep_posting) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        kafka.stop()
        try:
            assert refused.wait(WITHIN), "no request was refused though Kafka was stopped"
            assert ingest.get("/health/ready").status_code == 503
        finally:
            kafka.launch()
            kafka.await_ready()
        assert back.wait(WITHIN), "no request was accepted though Kafka was back"
    finally:
        end.set()
        for thread in threads:
            thread.join(WITHIN)

    for attempt in tenacity.Retrying(
        stop=tenacity.stop_after_delay(WITHIN), wait=tenacity.wait_fixed(0.1)
    ):
        with attempt:
            assert ingest.get("/health/ready").status_code == 200
    assert statuses == {202, 503}
    held = everything(settings, settings.ratings_topic)
    for event, place in acknowledged.items():
        assert json.loads(held[place])["event_id"] == event
    assert len(set(acknowledged.values())) == len(acknowledged)
