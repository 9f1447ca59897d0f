"""Topics of one test alone, and ``python -m ingest`` running on them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator

import httpx
import pytest

from local.kafka import Kafka
from local.processes import REPOSITORY
from storage.settings import KafkaSettings

WITHIN = 60.0  # seconds


@pytest.fixture
def settings(kafka: Kafka) -> KafkaSettings:
    """Names of topics that are not there yet."""
    name = uuid.uuid4().hex
    return KafkaSettings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        ratings_topic=f"ratings-{name}",
        items_topic=f"items-{name}",
        dead_letter_topic=f"dead-{name}",
        partitions=4,
        kafka_delivery_timeout=2.0,
    )


@pytest.fixture
def ingest(settings: KafkaSettings) -> Iterator[httpx.Client]:
    """A client of a running service; its log must stay free of errors."""
    given = {
        f"RECOMMENDER_{name.upper()}": str(value)
        for name, value in settings.model_dump(exclude_none=True).items()
    }
    with subprocess.Popen(
        [sys.executable, "-m", "ingest"],
        cwd=REPOSITORY,
        env={**os.environ, **given, "RECOMMENDER_INGEST_PORT": "0"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            line: dict[str, object] = {}
            while line.get("event") != "Application startup complete.":
                line = json.loads(process.stderr.readline())
                if line["event"] == "listening":
                    url = f"http://127.0.0.1:{line['port']}"
            with httpx.Client(base_url=url, timeout=WITHIN) as client:
                yield client
            process.send_signal(signal.SIGTERM)
            _, rest = process.communicate(timeout=WITHIN)
            assert process.returncode == 0
            assert '"level":"error"' not in rest
        finally:
            if process.poll() is None:
                process.kill()
