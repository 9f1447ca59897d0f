"""Ingest with a log in memory and a clock that stands still."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from ingest.app import build
from ingest.settings import IngestSettings
from recommender.clock import Clock
from tests.fakes.rating_log import FakeLog

NOW = 1_700_000_000.25


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
def client(log: FakeLog) -> TestClient:
    app = build(IngestSettings(ingest_max_records=3), Clock(lambda: NOW))
    app.state.log = log
    return TestClient(app)  # without its lifespan, which would start a Kafka client
