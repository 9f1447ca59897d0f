"""What every client of Kafka here has in common: options, errors, patience."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import tenacity
from confluent_kafka import KafkaError, KafkaException

from recommender.errors import MissingRequirement, Unavailable
from recommender.settings import PREFIX
from storage.settings import KafkaSettings

STORE = "Kafka"

# librdkafka tells of every refused connection; what matters of it is raised or logged by us.
CLIENT_LOG = logging.getLogger("librdkafka")
_CRITICAL_ONLY = 2  # syslog's number

FINAL = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,
    }
)
"""Answers that asking again does not change."""

Result = TypeVar("Result")


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options of any client, to which producers and consumers add their own."""
    return {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "log_level": _CRITICAL_ONLY,
        # A broker that comes back is found within a second, not within ten as by default.
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 500,
        "socket.connection.setup.timeout.ms": 5_000,
        # A topic made a moment ago by another client: ask again soon instead of believing it away.
        "topic.metadata.refresh.fast.interval.ms": 100,
        **_security(settings),
    }


def _security(settings: KafkaSettings) -> dict[str, str]:
    """How librdkafka encrypts, and who it says it is."""
    options: dict[str, str] = {"security.protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.startswith("SASL"):
        options |= {
            "sasl.mechanisms": settings.kafka_sasl_mechanism,
            "sasl.username": settings.kafka_username,
            "sasl.password": settings.kafka_password.get_secret_value(),
        }
    if settings.kafka_ca is not None:
        options["ssl.ca.location"] = str(settings.kafka_ca)
    if settings.kafka_certificate is not None:
        options |= {
            "ssl.certificate.location": str(settings.kafka_certificate),
            "ssl.key.location": str(settings.kafka_key),
        }
    return options


def source_security(settings: KafkaSettings) -> dict[str, str]:
    """The same as options of Spark's Kafka source.

    The authority's file must be at the same path on driver and executors; our own certificate and
    key are read here and travel with the options.

    Raises
    ------
    MissingRequirement
        If certificate or key cannot be read.
    """
    return {f"kafka.{name}": value for name, value in java_security(settings).items()}


def java_security(settings: KafkaSettings) -> dict[str, str]:
    """The same for Kafka's Java clients.

    Raises
    ------
    MissingRequirement
        If certificate or key cannot be read.
    """
    options: dict[str, str] = {"security.protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.startswith("SASL"):
        module = (
            "plain.PlainLoginModule"
            if settings.kafka_sasl_mechanism == "PLAIN"
            else "scram.ScramLoginModule"
        )
        options |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.jaas.config": (
                f"org.apache.kafka.common.security.{module} required "
                f"username={_quoted(settings.kafka_username)} "
                f"password={_quoted(settings.kafka_password.get_secret_value())};"
            ),
        }
    if settings.kafka_ca is not None:
        options |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(settings.kafka_ca)}
    if settings.kafka_certificate is not None and settings.kafka_key is not None:
        # As a file Java wants both in one, which nobody keeps so.
        options |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": _read(settings.kafka_certificate, "CERTIFICATE"),
            "ssl.keystore.key": _read(settings.kafka_key, "KEY"),
        }
    return options


def _read(path: Path, setting: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise MissingRequirement(
            f"{PREFIX}KAFKA_{setting}={path} cannot be read ({error}); it must be a PEM file"
        ) from error


def _quoted(text: str) -> str:
    """As a value of a JAAS configuration."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unavailable(error: KafkaError) -> Unavailable:
    """Kafka's error as ours."""
    return Unavailable(STORE, error.str())


def raise_unavailable(exception: KafkaException) -> NoReturn:
    """Raise Kafka's exception as ours."""
    raise unavailable(exception.args[0]) from exception


def patiently(call: Callable[[], Result], within: float, final: Container[int] = FINAL) -> Result:
    """Call until Kafka answers, with growing pauses.

    Parameters
    ----------
    call : callable
        Raises ``KafkaException`` while Kafka is away.
    within : float
        Seconds after which no further attempt is made.
    final : container of int
        Codes of errors after which no further attempt is made.

    Raises
    ------
    Unavailable
        If no attempt succeeded, or the answer is one that time does not change.
    """

    def may_pass(exception: BaseException) -> bool:
        return isinstance(exception, KafkaException) and exception.args[0].code() not in final

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(may_pass),
        wait=tenacity.wait_exponential_jitter(initial=0.05, max=2.0),
        stop=tenacity.stop_after_delay(within),
        reraise=True,
    )
    try:
        return retrying(call)
    except KafkaException as exception:
        raise_unavailable(exception)
