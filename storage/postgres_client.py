"""What every connection to Postgres here has in common: options, errors, patience."""

from __future__ import annotations

import psycopg2
from psycopg2.extensions import connection, make_dsn
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from recommender.errors import Unavailable
from storage.settings import PostgresSettings

# A server that is gone without a word is noticed in some 15 seconds; by default it takes 15 minutes
# where something was being sent, and two hours where an answer was awaited.
_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


def watchful(dsn: str) -> str:
    """The connection string with options by which a lost server is noticed.

    Options that it names itself stay as they are.
    """
    given = psycopg2.extensions.parse_dsn(dsn)
    return make_dsn(dsn, **{name: value for name, value in _OPTIONS.items() if name not in given})


def connect(settings: PostgresSettings) -> connection:
    """Open a connection, trying with back-off until ``postgres_timeout`` has passed.

    Raises
    ------
    Unavailable
    """

    @retry(
        retry=retry_if_exception_type(psycopg2.OperationalError),
        wait=wait_random_exponential(multiplier=0.1, max=2),
        stop=stop_after_delay(settings.postgres_timeout),
        reraise=True,
    )
    def open_() -> connection:
        return psycopg2.connect(watchful(settings.postgres_dsn))

    try:
        return open_()
    except psycopg2.OperationalError as error:
        raise Unavailable("Postgres", str(error).strip()) from error
