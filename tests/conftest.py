"""Real stores and Spark for the tests: each started once for the run, when first asked for."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import redis

from local import backlog, ports
from local import class_archive as local_class_archive
from local import jars as jar_sets
from local.kafka import Kafka
from local.postgres import Postgres
from local.processes import REPOSITORY, Children
from local.redis_server import RedisServer
from local.settings import LocalSettings
from local.stack import Content, Stack
from local.supervisor import Supervisor
from modeler import java as java_runtime
from recommender.generate import generate
from recommender.settings import load
from storage.schema import migrate
from storage.settings import KafkaSettings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# The first example of a test may compile a kernel or wait for a busy machine.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")

# Python workers of Spark must be this interpreter, and find the rooms.
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
)


@pytest.fixture(scope="session")
def java() -> java_runtime.Java:
    """The Java that the run uses."""
    return java_runtime.find(load(LocalSettings).state / "java")


@pytest.fixture(scope="session")
def java_home(java: java_runtime.Java) -> Path:
    """For JAVA_HOME."""
    return java.home


@pytest.fixture(scope="session")
def jars(java: java_runtime.Java) -> Path:
    """The folder of the pinned jars, fetched unless `make run` has done so: spark/ and broker/."""
    settings = load(LocalSettings)
    folder = settings.state / "jars"
    jar_sets.ensure(folder, java, settings.maven_repository)
    return folder


@pytest.fixture(scope="session")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Children]:
    """Starts child processes; ends them after the run, even if the run is killed."""
    children = Children(tmp_path_factory.mktemp("stack"))
    yield children
    children.close()


@pytest.fixture(scope="session")
def class_archive(children: Children, java: java_runtime.Java, jars: Path) -> Path:
    """Makes every start of a modeler a quicker one; made unless `make run` has done so."""
    return local_class_archive.ensure(children, jars, java)


@pytest.fixture(scope="session")
def kafka(children: Children, java: java_runtime.Java, jars: Path) -> Kafka:
    """A broker without topics; tests make their own, with names of their own.

    ``kafka.bootstrap_servers`` is its address.
    """
    server = Kafka(children, java, jars, durable=False)
    server.launch()
    server.await_ready()
    return server


@pytest.fixture(scope="session")
def postgres(children: Children) -> Postgres:
    """A server with a database ``migrated``, which is only to be copied: see `dsn`."""
    server = Postgres(children, durable=False)
    server.launch()
    server.await_ready()
    migrate(server.create_database("migrated"))
    return server


@pytest.fixture
def dsn(postgres: Postgres) -> Iterator[str]:
    """Connection string of a fresh database with the current schema, for this test alone."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres.create_database(name, template="migrated")
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def redis_server(children: Children) -> RedisServer:
    """A Redis; ``redis_server.url`` is its address."""
    server = RedisServer(children)
    server.launch()
    server.await_ready()
    return server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> Iterator[str]:
    """Address of the Redis, emptied before and after this test."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        yield redis_server.url
        client.flushall()


@pytest.fixture(scope="session")
def spark(java_home: Path, jars: Path) -> Iterator[SparkSession]:
    """One Spark session for the run, with the Kafka connector on its class path."""
    from pyspark.sql import SparkSession

    os.environ["JAVA_HOME"] = str(java_home)
    connector = ",".join(str(jar) for jar in jar_sets.jars(jars, "spark"))
    session = (
        SparkSession.builder.master("local[2]")
        .appName("tests")
        .config("spark.jars", connector)
        .config("spark.driver.extraJavaOptions", java_runtime.DEEP_STACK)
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    yield session
    session.stop()


@dataclass(frozen=True)
class RunningStack:
    """Addresses of a running product."""

    ingest_url: str
    predictor_url: str
    frontend_url: str
    kafka_settings: KafkaSettings
    dsn: str
    redis_url: str
    state: Path
    modeler_pid: Callable[[], int]


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
    java: java_runtime.Java,
    jars: Path,
    class_archive: Path,
) -> Iterator[RunningStack]:
    """The whole product, running, on a small generated data set that has been learned.

    What dies is started again, as in `make run`; nothing streams but what a test sends.
    """
    frontend_port, ingest_port, predictor_port = ports.free(3)
    settings = LocalSettings(
        state=tmp_path_factory.mktemp("product"),
        frontend_port=frontend_port,
        ingest_port=ingest_port,
        predictor_port=predictor_port,
    )
    children = Children(settings.state)
    supervisor = Supervisor(children, lambda death: sys.stderr.write(f"{death}\n"))
    product = Stack(settings, children, java, jars, supervisor, durable=False)
    try:
        for store in (product.postgres, product.redis, product.kafka):
            product.launch_store(store)
        part = backlog.cut(generate(users=60, items=120, ratings=1500, seed=7), share=1.0)
        product.prepare()
        backlog.publish(part, product.kafka_settings)
        content = Content("generated: for tests", ready_after=len(part.backlog))
        product.launch_web(content)
        product.launch_model(content)
        product.await_service("ingest", product.ingest_url)
        product.await_service("frontend", product.frontend_url, "live")
        product.await_service("predictor", product.predictor_url)
        yield RunningStack(
            ingest_url=product.ingest_url,
            predictor_url=product.predictor_url,
            frontend_url=product.frontend_url,
            kafka_settings=product.kafka_settings,
            dsn=product.postgres.dsn(),
            redis_url=product.redis.url,
            state=settings.state,
            modeler_pid=lambda: product.services["modeler"].pid,
        )
    finally:
        product.close()
