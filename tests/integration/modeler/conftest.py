"""A modeler of its own, in a process that tests may kill, on a model and topics of its own."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from local.kafka import Kafka
from local.postgres import Postgres
from local.processes import REPOSITORY
from local.redis_server import RedisServer
from modeler.verify import Sums, VerifySettings, sums
from recommender.ratings import encode_columns
from storage.log import load
from storage.settings import KafkaSettings
from storage.topics import create_topics

# A start of Spark on a busy machine takes some 10 s.
PATIENCE = 120.0


@dataclass
class Modeler:
    """``python -m modeler stream`` and what it works on."""

    environment: dict[str, str]
    kafka: KafkaSettings
    dsn: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    sent: list[tuple[str, str, float]] = field(default_factory=list)

    def start(self) -> None:
        log = self.folder / "modeler.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "modeler", "stream"],
                env={**os.environ, **self.environment},
                cwd=REPOSITORY,
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def send(self, ratings: list[tuple[str, str, float]]) -> None:
        users, items, values = zip(*ratings, strict=True)
        times = [float(len(self.sent) + number) for number in range(len(ratings))]
        load(self.kafka, self.kafka.ratings_topic, encode_columns(users, items, values, times))
        self.sent += ratings

    def send_raw(self, values: list[bytes]) -> None:
        load(self.kafka, self.kafka.ratings_topic, [(b"key", value) for value in values])

    def sums(self) -> Sums:
        return sums(VerifySettings(postgres_dsn=self.dsn, ratings_topic=self.kafka.ratings_topic))

    def await_learned(self, records: int) -> Sums:
        """Wait until so many records of the log have been learned."""
        return (
            self.wait_for(
                lambda: found if (found := self.learned()) and found >= records else None,
                f"{records} records learned",
            )
            and self.sums()
        )

    def learned(self) -> int:
        """By the serving model."""
        learned = """SELECT coalesce(sum(next_offset), 0) FROM offsets JOIN models USING (model)
                     WHERE status = 'serving'"""
        return int(self.query(learned)[0][0])

    def query(self, query: str) -> list[tuple]:
        with psycopg2.connect(self.dsn) as opened, opened.cursor() as cur:
            cur.execute(query)
            found = cur.fetchall()
        opened.close()
        return found

    def wait_for(self, look: Callable[[], object], what: str, within: float = PATIENCE):
        deadline = time.monotonic() + within
        while not (found := look()):
            if time.monotonic() > deadline:
                tail = (self.folder / "modeler.log").read_text()[-3000:]
                pytest.fail(f"waited {within:g} s for {what}; the modeler's log ends with\n{tail}")
            time.sleep(0.05)
        return found


def some_ratings(count: int, seed: int) -> list[tuple[str, str, float]]:
    """Ratings of a few users and items, skewed."""
    drawn = random.Random(seed)
    return [
        (
            f"u{int(drawn.paretovariate(0.7)) % 40}",
            f"i{int(drawn.paretovariate(0.5)) % 60}",
            drawn.randint(1, 10) / 2,
        )
        for _ in range(count)
    ]


def new_modeler(
    kafka: str,
    dsn: str,
    redis_url: str,
    jars: Path,
    java_home: Path,
    class_archive: Path,
    folder: Path,
    settings: Mapping[str, object],
) -> Modeler:
    """A modeler that is not started yet; its topics are made."""
    name = uuid.uuid4().hex[:8]
    environment = {
        "JAVA_HOME": str(java_home),
        "RECOMMENDER_JARS": str(jars / "spark"),
        "RECOMMENDER_CLASS_ARCHIVE": str(class_archive),
        # No test runs long enough to repay what Java's optimiser takes.
        "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1",
        "RECOMMENDER_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "RECOMMENDER_POSTGRES_DSN": dsn,
        "RECOMMENDER_REDIS_URL": redis_url,
        "RECOMMENDER_REDIS_PREFIX": name,
        "RECOMMENDER_RATINGS_TOPIC": f"ratings-{name}",
        "RECOMMENDER_ITEMS_TOPIC": f"items-{name}",
        "RECOMMENDER_DEAD_LETTER_TOPIC": f"dead-{name}",
        "RECOMMENDER_PARTITIONS": "1",
        "RECOMMENDER_MODELER_METRICS_PORT": "0",
        "RECOMMENDER_SPARK_MASTER": "local[2]",
        "RECOMMENDER_SPARK_DRIVER_MEMORY": "1g",
        **{f"RECOMMENDER_{key.upper()}": str(value) for key, value in settings.items()},
    }
    kafka_settings = KafkaSettings(
        kafka_bootstrap_servers=kafka,
        ratings_topic=f"ratings-{name}",
        items_topic=f"items-{name}",
        dead_letter_topic=f"dead-{name}",
        partitions=int(environment["RECOMMENDER_PARTITIONS"]),
    )
    create_topics(kafka_settings)
    return Modeler(environment, kafka_settings, dsn, folder)


@contextmanager
def modelers(*place: Any) -> Iterator[Callable[..., Modeler]]:
    """Makes modelers at a place, the first arguments of `new_modeler`; they end with it."""
    made: list[Modeler] = []

    def make(**settings: object) -> Modeler:
        made.append(new_modeler(*place, settings))
        return made[-1]

    yield make
    for modeler in made:
        modeler.stop()


@pytest.fixture
def make_modeler(
    kafka: Kafka,
    dsn: str,
    redis_url: str,
    jars: Path,
    java_home: Path,
    class_archive: Path,
    tmp_path: Path,
) -> Iterator[Callable[..., Modeler]]:
    """Makes modelers on a database and a Redis of this test's own."""
    place = (kafka.bootstrap_servers, dsn, redis_url, jars, java_home, class_archive, tmp_path)
    with modelers(*place) as make:
        yield make


@pytest.fixture(scope="module")
def make_shared_modeler(
    kafka: Kafka,
    postgres: Postgres,
    redis_server: RedisServer,
    jars: Path,
    java_home: Path,
    class_archive: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Modeler]]:
    """Makes modelers that the tests of one file share."""
    name = f"shared_{uuid.uuid4().hex}"
    dsn = postgres.create_database(name, template="migrated")
    place = (kafka.bootstrap_servers, dsn, redis_server.url, jars, java_home, class_archive)
    with modelers(*place, tmp_path_factory.mktemp("modeler")) as make:
        yield make
    postgres.drop_database(name)
