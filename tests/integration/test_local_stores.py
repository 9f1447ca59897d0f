"""The embedded stores, really started: they keep their data, and recover from being killed."""

from __future__ import annotations

import os
import pwd
import signal
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from local.kafka import Kafka
from local.postgres import Postgres
from local.processes import Children
from local.redis_server import RedisServer
from modeler.java import Java
from recommender.errors import MissingRequirement


def publish(server: Kafka, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": server.bootstrap_servers, "acks": "all"})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(20) == 0


def values(server: Kafka, topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer(
        {"bootstrap.servers": server.bootstrap_servers, "group.id": "t", "log_level": 0}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    messages = consumer.consume(count, timeout=20)
    consumer.close()
    return [message.value() for message in messages]


@pytest.mark.parametrize("killed", [False, True])
def test_kafka_continues_with_its_topics(
    tmp_path: Path, java: Java, jars: Path, killed: bool
) -> None:
    children = Children(tmp_path)
    try:
        server = Kafka(children, java, jars)
        server.launch()
        server.await_ready()
        admin = AdminClient({"bootstrap.servers": server.bootstrap_servers})
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
        publish(server, "kept", b"one", b"two")
        if killed:
            os.kill(server.child.pid, signal.SIGKILL)
        server.stop()
        # A later run: other ports, the same folder.
        server = Kafka(children, java, jars)
        server.launch()
        server.await_ready()
        publish(server, "kept", b"three")
        assert values(server, "kept", 3) == [b"one", b"two", b"three"]
    finally:
        children.close()


@pytest.mark.parametrize("killed", [False, True])
def test_postgres_continues_with_its_rows(tmp_path: Path, killed: bool) -> None:
    children = Children(tmp_path)
    try:
        server = Postgres(children)
        server.launch()
        server.await_ready()
        with closing(psycopg2.connect(server.create_database())) as connection, connection:
            connection.cursor().execute("CREATE TABLE kept AS SELECT 42 AS answer")
        if killed:
            os.kill(server.child.pid, signal.SIGKILL)
        server.stop()
        # What a restarted machine shows: the old server's number is another process now.
        lock = tmp_path / "postgres" / "data" / "postmaster.pid"
        lock.write_text(f"{os.getpid()}\n{lock.parent}\n0\n")
        server = Postgres(children)
        server.launch()
        server.await_ready()
        with closing(psycopg2.connect(server.create_database())) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT answer FROM kept")
            assert cursor.fetchall() == [(42,)]
    finally:
        children.close()


def test_postgres_asks_for_the_password(postgres: Postgres) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(
            f"postgresql://recommender:wrong@127.0.0.1:{postgres.port}/postgres"
        ).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand Postgres to another user")
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_postgres_runs_as_nobody_wherever_root_keeps_it(tmp_path: Path, mode: int) -> None:
    outer = tmp_path / "home"
    outer.mkdir()
    for folder in (outer, tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    outer.chmod(mode)  # 0700 is what /root has: nobody cannot enter
    children = Children(outer / "state")
    try:
        server = Postgres(children)
        server.launch()
        server.await_ready()
        assert psutil.Process(server.child.pid).uids().real == pwd.getpwnam("nobody").pw_uid
        assert outer.stat().st_mode & 0o777 == mode
    finally:
        children.close()


def test_a_fresh_database_has_the_schema_and_no_rows(dsn: str) -> None:
    with closing(psycopg2.connect(dsn)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM ratings")
        assert cursor.fetchone() == (0,)


def test_redis_answers_and_keeps_nothing_on_disk(redis_server: RedisServer, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}
        assert client.dbsize() == 0


def test_a_store_that_cannot_start_shows_its_log(tmp_path: Path, redis_server: RedisServer) -> None:
    children = Children(tmp_path)
    try:
        second = RedisServer(children)
        second.port = redis_server.port
        second.launch()
        with pytest.raises(MissingRequirement, match="Address already in use") as caught:
            second.child.await_ready(lambda: False, within=20)
        assert "redis ended at once" in str(caught.value)
    finally:
        children.close()
