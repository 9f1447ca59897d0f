"""The whole product on one machine: the stores, the services, and what each of them is told."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from local import class_archive
from local.kafka import Kafka
from local.ports import HOST, require_free
from local.postgres import Postgres
from local.processes import REPOSITORY, Child, Children, Program
from local.redis_server import RedisServer
from local.settings import LocalSettings
from local.store import Store
from local.supervisor import Supervisor
from modeler import java as java_runtime
from recommender.errors import MissingRequirement
from storage.schema import migrate
from storage.settings import KafkaSettings
from storage.topics import create_topics

# Exit status by which a service says that its settings or the machine must be corrected first.
CANNOT_START = 2
# Seconds; imports and compiled kernels on a busy laptop.
SERVICE_READY_WITHIN = 120.0
_PROBE_WITHIN = 2.0
MODELER_NICENESS = 4
"""Who waits for an answer goes first: where processors are few the modeler takes what is left,
and over a quarter of them where nothing is. At 6 requests are answered sooner still, and ratings
show later than they should."""


@dataclass(frozen=True)
class Content:
    """What the services are told of the data.

    Parameters
    ----------
    description : str
        For people.
    rating_min, rating_max : float
        The scale.
    ready_after : int
        Ratings to be learned before the predictor says that it is ready.
    max_batch : int
        Ratings of a micro-batch at most: a backlog is learned in several, so that its diagnostics
        show how the model gets better.
    """

    description: str
    rating_min: float = 0.5
    rating_max: float = 5.0
    ready_after: int = 0
    max_batch: int = 200_000


class Stack:
    """Stores and services as child processes.

    Parameters
    ----------
    settings : LocalSettings
    children : Children
    java : Java
    jars : Path
        Where `local.jars.ensure` puts them; they must be there when Kafka is launched.
    supervisor : Supervisor or None
        Restarts what dies; None: nothing does.
    durable : bool
        Whether the stores sync to the disk.
    """

    def __init__(
        self,
        settings: LocalSettings,
        children: Children,
        java: java_runtime.Java,
        jars: Path,
        supervisor: Supervisor | None = None,
        *,
        durable: bool = True,
    ) -> None:
        self._settings = settings
        self._children = children
        self._java = java
        self._jars = jars
        self._class_archive = class_archive.path(jars, java)
        self._supervisor = supervisor
        self.postgres = Postgres(children, durable=durable)
        self.redis = RedisServer(children)
        self.kafka = Kafka(children, java, jars, durable=durable)
        self._scratch = children.state / "spark"
        self.services: dict[str, Child] = {}
        self.frontend_url = f"http://{HOST}:{settings.frontend_port}"
        self.ingest_url = f"http://{HOST}:{settings.ingest_port}"
        self.predictor_url = f"http://{HOST}:{settings.predictor_port}"

    @property
    def kafka_settings(self) -> KafkaSettings:
        """How this process reaches the log."""
        return KafkaSettings(kafka_bootstrap_servers=self.kafka.bootstrap_servers)

    def check_ports(self) -> None:
        """Refuse ports that are taken.

        Raises
        ------
        MissingRequirement
            Naming the first and the setting that chooses another.
        """
        require_free(self._settings.frontend_port, "RECOMMENDER_FRONTEND_PORT")
        require_free(self._settings.ingest_port, "RECOMMENDER_INGEST_PORT")
        require_free(self._settings.predictor_port, "RECOMMENDER_PREDICTOR_PORT")

    def launch_store(self, store: Store) -> None:
        """Start a store, without waiting for it, and have it restarted when it dies."""
        store.launch()
        if self._supervisor is not None:
            self._supervisor.look_after(store.child, lambda: _relaunch(store))

    def prepare(self) -> None:
        """Await the stores, and make topics and schema; safe to repeat.

        Raises
        ------
        MissingRequirement
            If a store does not start.
        Unavailable
            If one stops answering.
        """
        self.redis.await_ready()
        self.postgres.await_ready()
        migrate(self.postgres.create_database())
        self.kafka.await_ready()
        create_topics(self.kafka_settings)

    def environment(self, content: Content) -> dict[str, str]:
        """What every service gets; each reads its own part."""
        settings = self._settings
        return {
            # What the command was given: the environment need not say the same.
            "RECOMMENDER_STATE": str(settings.state.resolve()),
            "RECOMMENDER_RATE": f"{settings.rate:g}",
            "RECOMMENDER_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "RECOMMENDER_POSTGRES_DSN": self.postgres.dsn(),
            "RECOMMENDER_REDIS_URL": self.redis.url,
            "RECOMMENDER_FRONTEND_PORT": str(settings.frontend_port),
            "RECOMMENDER_FRONTEND_STATE": str(self._children.state / "frontend"),
            "RECOMMENDER_INGEST_PORT": str(settings.ingest_port),
            "RECOMMENDER_INGEST_URL": self.ingest_url,
            "RECOMMENDER_PREDICTOR_PORT": str(settings.predictor_port),
            "RECOMMENDER_PREDICTOR_URL": self.predictor_url,
            "RECOMMENDER_READY_AFTER": str(content.ready_after),
            # Whoever has set this one knows why.
            "RECOMMENDER_MAX_BATCH": os.environ.get(
                "RECOMMENDER_MAX_BATCH", str(content.max_batch)
            ),
            "RECOMMENDER_RATING_MIN": f"{content.rating_min:g}",
            "RECOMMENDER_RATING_MAX": f"{content.rating_max:g}",
            "RECOMMENDER_DATA": content.description,
            "RECOMMENDER_JARS": str(self._jars / "spark"),
            "RECOMMENDER_CLASS_ARCHIVE": str(self._class_archive),
            "RECOMMENDER_SCRATCH": str(self._scratch),
            "RECOMMENDER_MODELER_METRICS_PORT": "0",
            "JAVA_HOME": str(self._java.home),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "PYTHONPATH": os.pathsep.join(
                [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
            "PYTHONUNBUFFERED": "1",
        }

    def launch_class_archive(self) -> None:
        """Begin to make the modeler's next start a quicker one, unless that has been done."""
        if not self._class_archive.exists():
            self._children.start(class_archive.maker(self._jars, self._java, niceness=19))

    def launch_service(
        self,
        name: str,
        content: Content,
        module: str | None = None,
        finished: Callable[[], None] | None = None,
    ) -> None:
        """Start a service, without waiting for it, and have it restarted when it dies."""
        program = Program(
            name=name,
            command=[sys.executable, "-m", module or name],
            environment=self.environment(content),
            stop=signal.SIGTERM,
        )
        self._launch(program, finished)

    def _launch(self, program: Program, finished: Callable[[], None] | None = None) -> None:
        def start() -> Child:
            self.services[program.name] = self._children.start(program)
            return self.services[program.name]

        child = start()
        if self._supervisor is not None:
            self._supervisor.look_after(child, start, finished)

    def modeler(self, content: Content, settings: Mapping[str, object] | None = None) -> Program:
        """What learns the stream, with some settings of its own."""
        own = {f"RECOMMENDER_{name.upper()}": str(one) for name, one in (settings or {}).items()}
        return Program(
            name="modeler",
            command=[sys.executable, "-m", "modeler", "stream"],
            environment=self.environment(content) | own,
            niceness=MODELER_NICENESS,
        )

    def launch_web(self, content: Content) -> None:
        """Start ingest and frontend, without waiting; they bear it that the stores come later."""
        self.launch_service("ingest", content)
        self.launch_service("frontend", content)

    def launch_model(self, content: Content) -> None:
        """Start modeler and predictor, without waiting; the stores must be prepared."""
        shutil.rmtree(self._scratch, ignore_errors=True)  # what a killed run left
        self._scratch.mkdir()
        self._launch(self.modeler(content))
        self.launch_service("predictor", content)

    def await_service(self, name: str, url: str, probe: str = "ready") -> None:
        """Return once a service's probe says yes.

        Raises
        ------
        MissingRequirement
            If it does not in time, or says that it cannot start.
        """

        child = self.services[name]
        try:
            child.await_ready(lambda: is_well(url, probe), SERVICE_READY_WITHIN)
        except MissingRequirement:
            if child.status == CANNOT_START:
                raise MissingRequirement(child.log_end(lines=1)) from None
            raise

    def close(self) -> None:
        """End the services together, then the stores in turn."""
        if self._supervisor is not None:
            self._supervisor.release()
        self._children.start_no_more()
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._children.stop, self.services.values()))
        self._children.close()


def is_well(url: str, probe: str = "ready") -> bool:
    """Whether a service's health probe, ``ready`` or ``live``, answers 200."""
    try:
        return httpx.get(f"{url}/health/{probe}", timeout=_PROBE_WITHIN).is_success
    except httpx.TransportError:
        return False


def _relaunch(store: Store) -> Child:
    store.launch()
    return store.child
