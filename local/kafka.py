"""A real Kafka broker as a child process: KRaft, one node that is broker and controller."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import uuid
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from local.jars import jars
from local.ports import HOST, free
from local.processes import REPOSITORY, Children, Program
from local.store import Store
from modeler.java import Java
from recommender.errors import MissingRequirement

# 128 MiB of the cleaner's default buffer would not fit a small heap; 2 MiB index 100 k keys a pass.
_CLEANER_BUFFER = 2 * 2**20
_HEAP = "-Xms64m -Xmx512m"


class Kafka(Store):
    """The rating log.

    Parameters
    ----------
    children : Children
    java : Java
    jar_folder : Path
        Where `local.jars.ensure` put them.
    durable : bool
        Whether the log is synced to the disk every second; a killed broker loses nothing either
        way, a machine that loses power does.
    """

    name = "kafka"

    def __init__(
        self, children: Children, java: Java, jar_folder: Path, *, durable: bool = True
    ) -> None:
        super().__init__(children)
        self._java = java
        self._class_path = os.pathsep.join(str(jar) for jar in jars(jar_folder, "broker"))
        self._durable = durable
        self.port, self._controller_port = free(2)

    @property
    def bootstrap_servers(self) -> str:
        """For ``RECOMMENDER_KAFKA_BOOTSTRAP_SERVERS``."""
        return f"{HOST}:{self.port}"

    def prepare(self) -> Program:
        """Write the settings, which hold this run's ports, and format the storage once."""
        properties = self.folder / "server.properties"
        properties.write_text(self._properties())
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(properties)
        return Program(
            name=self.name,
            command=self._java_command("kafka.Kafka", str(properties)),
            folder=self.folder,
            stop=signal.SIGTERM,
        )

    def answers(self) -> bool:
        """Whether the broker gives its list of topics."""
        client = AdminClient(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "reconnect.backoff.max.ms": 100,
                "log_level": 0,  # refused connections are expected here
            }
        )
        try:
            return bool(client.list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    def _properties(self) -> str:
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            # Static voters: a dynamic quorum would keep the port of the first start for ever.
            "controller.quorum.voters": f"1@{HOST}:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.bootstrap_servers},"
            f"CONTROLLER://{HOST}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            # A killed broker may register again only when its last session has run out (9 s).
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "log.retention.ms": -1,  # ratings are kept for ever: everything is learned from them
            "log.cleaner.dedupe.buffer.size": _CLEANER_BUFFER,
            "num.network.threads": 2,
            "num.io.threads": 4,
        }
        if self._durable:
            settings["log.flush.interval.ms"] = 1000
        return "".join(f"{key}={value}\n" for key, value in settings.items())

    def _format(self, properties: Path) -> None:
        cluster = (
            base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        )
        command = self._java_command(
            "kafka.tools.StorageTool",
            *["format", "--cluster-id", cluster, "--config", str(properties)],
        )
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
        )
        if done.returncode != 0:
            raise MissingRequirement(
                f"Kafka's storage in {self.folder} cannot be made: {done.stdout[-500:]}"
            )

    def _java_command(self, main: str, *arguments: str) -> list[str]:
        log_settings = REPOSITORY / "local" / "kafka-log4j2.properties"
        return [
            self._java.command,
            *_HEAP.split(),
            "-XX:+UseSerialGC",  # with a small heap on few cores the least work
            "-XX:+ExitOnOutOfMemoryError",
            f"-Dlog4j2.configurationFile={log_settings.as_uri()}",
            "-cp",
            self._class_path,
            main,
            *arguments,
        ]
