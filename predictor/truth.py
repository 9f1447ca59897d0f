"""How the predictor reads the truth (Postgres)."""

from __future__ import annotations

from predictor.settings import PredictorSettings
from storage.reading import TruthReader


def truth_reader(settings: PredictorSettings, connections: int) -> TruthReader:
    """A reader with the predictor's limits and so many connections at most; opens none yet."""
    return TruthReader(
        settings.postgres_dsn,
        connect_timeout=settings.postgres_timeout,
        statement_timeout=settings.statement_timeout,
        size=connections,
    )
