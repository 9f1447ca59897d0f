"""How settings become what each client needs to encrypt and to say who it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka.admin import AdminClient

from recommender.errors import InvalidSetting, MissingRequirement
from recommender.settings import load
from storage.kafka_client import client_options, java_security, source_security
from storage.redis_client import address
from storage.settings import KafkaSettings, RedisSettings

SASL: dict[str, Any] = {
    "kafka_security_protocol": "SASL_SSL",
    "kafka_username": "modeler",
    "kafka_password": 'p"a\\ss',
    "kafka_ca": Path("/etc/ca.crt"),
}


def test_plaintext_stays_plaintext() -> None:
    assert client_options(KafkaSettings())["security.protocol"] == "PLAINTEXT"
    assert java_security(KafkaSettings()) == {"security.protocol": "PLAINTEXT"}


def test_librdkafka_gets_user_and_authority() -> None:
    options = client_options(KafkaSettings(**SASL))
    assert options["security.protocol"] == "SASL_SSL"
    assert options["sasl.mechanisms"] == "SCRAM-SHA-512"
    assert options["sasl.username"] == "modeler"
    assert options["sasl.password"] == 'p"a\\ss'
    assert options["ssl.ca.location"] == "/etc/ca.crt"


def test_librdkafka_knows_each_option() -> None:
    settings = KafkaSettings(**{**SASL, "kafka_ca": None})
    AdminClient(client_options(settings))  # raises for an option that it does not know


def test_java_gets_the_same_with_quotes_escaped() -> None:
    options = java_security(KafkaSettings(**SASL))
    assert options == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required "
            'username="modeler" password="p\\"a\\\\ss";'
        ),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": "/etc/ca.crt",
    }


def test_spark_s_source_gets_what_java_gets() -> None:
    settings = KafkaSettings(**SASL)
    options = source_security(settings)
    assert options["kafka.security.protocol"] == "SASL_SSL"
    assert set(options) == {f"kafka.{name}" for name in java_security(settings)}


def test_java_has_another_module_for_plain() -> None:
    settings = KafkaSettings(**{**SASL, "kafka_sasl_mechanism": "PLAIN"})
    assert "plain.PlainLoginModule" in java_security(settings)["sasl.jaas.config"]


def test_our_own_certificate_reaches_both_kinds_of_clients(tmp_path: Path) -> None:
    certificate, key = tmp_path / "user.crt", tmp_path / "user.key"
    certificate.write_text("the certificate\n")
    key.write_text("the key\n")
    settings = KafkaSettings(
        kafka_security_protocol="SSL", kafka_certificate=certificate, kafka_key=key
    )
    options = client_options(settings)
    assert options["ssl.certificate.location"] == str(certificate)
    assert options["ssl.key.location"] == str(key)
    assert java_security(settings) == {
        "security.protocol": "SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": "the certificate\n",
        "ssl.keystore.key": "the key\n",
    }
    key.unlink()
    with pytest.raises(MissingRequirement, match=f"RECOMMENDER_KAFKA_KEY={key} cannot be read"):
        java_security(settings)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"KAFKA_CERTIFICATE": "/c"}, "KAFKA_CERTIFICATE is set, but RECOMMENDER_KAFKA_KEY is not"),
        ({"KAFKA_KEY": "/k"}, "KAFKA_KEY is set, but RECOMMENDER_KAFKA_CERTIFICATE is not"),
        (
            {
                "KAFKA_CERTIFICATE": "/c",
                "KAFKA_KEY": "/k",
                "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
            },
            "KAFKA_SECURITY_PROTOCOL=PLAINTEXT does not encrypt",
        ),
    ],
)
def test_half_a_certificate_or_one_in_the_clear_is_refused(
    given: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"KAFKA_SECURITY_PROTOCOL": "SSL", **given}.items():
        monkeypatch.setenv(f"RECOMMENDER_{name}", value)
    with pytest.raises(InvalidSetting, match=said):
        load(KafkaSettings)


@pytest.mark.parametrize("missing", ["KAFKA_USERNAME", "KAFKA_PASSWORD"])
def test_sasl_without_a_user_is_refused_by_name(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"KAFKA_USERNAME": "u", "KAFKA_PASSWORD": "secret"}
    monkeypatch.setenv("RECOMMENDER_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    for name, value in given.items():
        monkeypatch.setenv(f"RECOMMENDER_{name}", "" if name == missing else value)
    with pytest.raises(InvalidSetting, match=f"RECOMMENDER_{missing} is empty") as error:
        load(KafkaSettings)
    assert "secret" not in str(error.value)


def redis_arguments(settings: RedisSettings) -> dict[str, Any]:
    """What redis-py makes of the address."""
    pool = redis.ConnectionPool.from_url(address(settings))
    return pool.connection_kwargs | {"encrypted": pool.connection_class is redis.SSLConnection}


def test_redis_as_it_is_given() -> None:
    assert address(RedisSettings(redis_url="redis://:pw@host:1/2")) == "redis://:pw@host:1/2"


def test_redis_user_password_and_authority_reach_the_client() -> None:
    arguments = redis_arguments(
        RedisSettings(
            redis_url="rediss://host:6380/3",
            redis_username="reader@x",
            redis_password="p@s/s:?",
            redis_ca=Path("/etc/a b/ca.crt"),
        )
    )
    assert arguments["username"] == "reader@x"
    assert arguments["password"] == "p@s/s:?"
    assert arguments["ssl_ca_certs"] == "/etc/a b/ca.crt"
    assert (arguments["host"], arguments["port"], arguments["db"]) == ("host", 6380, 3)
    assert arguments["encrypted"]


def test_redis_password_of_the_settings_goes_before_that_of_the_url() -> None:
    settings = RedisSettings(redis_url="redis://u:old@host:1/0", redis_password="new")
    arguments = redis_arguments(settings)
    assert (arguments["username"], arguments["password"]) == ("u", "new")


def test_an_authority_without_encryption_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_REDIS_URL", "redis://:pw@host:6379/0")
    monkeypatch.setenv("RECOMMENDER_REDIS_CA", "/etc/ca.crt")
    with pytest.raises(InvalidSetting, match="REDIS_URL does not encrypt") as error:
        load(RedisSettings)
    assert "pw@" not in str(error.value)
