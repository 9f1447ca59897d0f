"""``python -m deploy.helm.settings_in_schema``: writes the settings into the chart's schema.

The chart takes any setting of a service under ``settings``; its schema lists their names, so that a
misspelt one is refused instead of being passed over. A test compares schema and code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from frontend.settings import FrontendSettings
from ingest.settings import IngestSettings
from modeler.settings import ModelerSettings
from predictor.settings import PredictorSettings

SCHEMA = Path(__file__).parent / "recommender" / "values.schema.json"

# What the chart itself decides: where services and stores are, and what is secret.
_OF_THE_CHART = frozenset(
    {
        "frontend_host",
        "frontend_port",
        "frontend_state",
        "frontend_storage_secret",
        "ingest_host",
        "ingest_port",
        "ingest_url",
        "jars",
        "kafka_bootstrap_servers",
        "kafka_ca",
        "kafka_password",
        "kafka_sasl_mechanism",
        "kafka_security_protocol",
        "kafka_username",
        "modeler_host",
        "modeler_metrics_port",
        "partitions",
        "postgres_dsn",
        "predictor_host",
        "predictor_port",
        "predictor_url",
        "redis_ca",
        "redis_password",
        "redis_url",
        "redis_username",
        "replication_factor",
        "scratch",
        "spark_driver_memory",
        "spark_master",
    }
)


def settings_of_the_chart() -> list[str]:
    """Names that `settings` of the chart takes, sorted."""
    services = (IngestSettings, PredictorSettings, FrontendSettings, ModelerSettings)
    return sorted({name for one in services for name in one.model_fields} - _OF_THE_CHART)


def stated() -> list[str]:
    """Those that the schema states."""
    names: list[str] = _schema()["properties"]["settings"]["propertyNames"]["enum"]
    return names


def write() -> None:
    """Bring the schema up to date."""
    schema = _schema()
    schema["properties"]["settings"]["propertyNames"]["enum"] = settings_of_the_chart()
    SCHEMA.write_text(json.dumps(schema, indent=2) + "\n")


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text())
    return schema


if __name__ == "__main__":
    write()
