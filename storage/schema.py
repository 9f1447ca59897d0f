"""Brings a Postgres database to the current schema (storage/migrations)."""

from __future__ import annotations

from pathlib import Path

from yoyo import get_backend, read_migrations

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(dsn: str) -> None:
    """Apply the migrations that are missing; safe to repeat and to run from several places at once.

    Raises
    ------
    psycopg2.Error
        If the database does not answer or refuses.
    """
    backend = get_backend(dsn)
    try:
        migrations = read_migrations(str(MIGRATIONS))
        with backend.lock():
            backend.apply_migrations(backend.to_apply(migrations))
    finally:
        backend.connection.close()
