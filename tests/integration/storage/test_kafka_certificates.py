"""A Kafka that demands a client's certificate: both kinds of clients, and who has none."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from local.kafka import Kafka
from local.processes import Children
from modeler.java import Java
from storage.kafka_client import client_options, source_security
from storage.log import load
from storage.settings import KafkaSettings
from storage.topics import create_topics, end_offsets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

_AUTHORITY = ["-x509", "-days", "2", "-addext", "basicConstraints=critical,CA:TRUE"]


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)


def certificate(folder: Path, name: str, authority: str = "") -> None:
    """``NAME.crt`` and ``NAME.key``, signed by an authority made before, or an authority."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made = ["-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}"]
    signed = ["-x509", "-days", "2", "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key"]
    place = ["-addext", "subjectAltName=IP:127.0.0.1"]
    openssl(folder, "req", *key, *made, *(signed + place if authority else _AUTHORITY))


class Demanding(Kafka):
    """A broker that speaks TLS alone, and only with those whose certificate it can check."""

    certificates: Path

    def answers(self) -> bool:
        try:
            return bool(AdminClient(client_options(known(self))).list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    def _properties(self) -> str:
        (self.certificates / "broker.pem").write_text(
            (self.certificates / "broker.key").read_text()
            + (self.certificates / "broker.crt").read_text()
        )
        return (
            super()
            ._properties()
            .replace("PLAINTEXT://", "SSL://")
            .replace("PLAINTEXT:PLAINTEXT,", "SSL:SSL,")
            + "inter.broker.listener.name=SSL\n"
            "ssl.client.auth=required\n"
            "ssl.keystore.type=PEM\n"
            f"ssl.keystore.location={self.certificates}/broker.pem\n"
            "ssl.truststore.type=PEM\n"
            f"ssl.truststore.location={self.certificates}/ca.crt\n"
        )


def known(broker: Demanding, who: str = "user") -> KafkaSettings:
    return KafkaSettings(
        kafka_bootstrap_servers=broker.bootstrap_servers,
        kafka_security_protocol="SSL",
        kafka_ca=broker.certificates / "ca.crt",
        kafka_certificate=broker.certificates / f"{who}.crt",
        kafka_key=broker.certificates / f"{who}.key",
        partitions=2,
    )


@pytest.fixture(scope="module")
def demanding(
    tmp_path_factory: pytest.TempPathFactory, java: Java, jars: Path
) -> Iterator[Demanding]:
    folder = tmp_path_factory.mktemp("certificates")
    for name, authority in (
        ("ca", ""),
        ("broker", "ca"),
        ("user", "ca"),
        ("other-ca", ""),
        ("stranger", "other-ca"),
    ):
        certificate(folder, name, authority)
    children = Children(tmp_path_factory.mktemp("demanding"))
    try:
        broker = Demanding(children, java, jars, durable=False)
        broker.certificates = folder
        broker.launch()
        broker.await_ready()
        yield broker
    finally:
        children.close()


def test_what_one_client_writes_spark_reads(demanding: Demanding, spark: SparkSession) -> None:
    settings = known(demanding)
    create_topics(settings)
    assert load(settings, "ratings", [(b"u%d" % n, b"%d" % n) for n in range(20)]) == 20
    assert sum(end_offsets(settings, "ratings").values()) == 20

    read = (
        spark.read.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka_bootstrap_servers)
        .options(**source_security(settings))
        .option("subscribe", "ratings")
        .load()
    )

    values = sorted(int(row.value) for row in read.select("value").collect())
    assert values == list(range(20))


@pytest.mark.parametrize("who", ["stranger", "none"])
def test_who_has_no_certificate_of_the_authority_is_not_let_in(
    demanding: Demanding, who: str
) -> None:
    settings = known(demanding, "stranger")
    if who == "none":
        nothing = {"kafka_certificate": None, "kafka_key": None}
        settings = settings.model_copy(update=nothing)
    with pytest.raises(KafkaException):
        AdminClient(client_options(settings)).list_topics(timeout=2)
