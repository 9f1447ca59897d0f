"""A stand-in for the modeler that has learned a few ratings, and the registry of its models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from storage.models import Registry
from storage.settings import PostgresSettings
from tests.fakes.engine import RATINGS, Engine


@pytest.fixture
def engine(dsn: str) -> Iterator[Engine]:
    with closing(Engine(dsn)) as made:
        made.learn(RATINGS)
        yield made


@pytest.fixture
def postgres_settings(engine: Engine) -> PostgresSettings:
    return PostgresSettings(postgres_dsn=engine.dsn)


@pytest.fixture
def registry(postgres_settings: PostgresSettings) -> Iterator[Registry]:
    with closing(Registry(postgres_settings)) as made:
        yield made
