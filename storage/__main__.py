"""``python -m storage prepare``: topics and schema, made or brought up to date."""

from __future__ import annotations

import psycopg2
import typer

from recommender.errors import RecommenderError, Unavailable
from recommender.settings import load
from storage.schema import migrate
from storage.settings import KafkaSettings, PostgresSettings
from storage.topics import create_topics

app = typer.Typer(add_completion=False, help="Prepare the stores.")


@app.callback()
def main() -> None:
    """Prepare the stores."""


@app.command()
def prepare() -> None:
    """Make the topics in Kafka and the schema in Postgres; safe to repeat."""
    try:
        create_topics(load(KafkaSettings))
        postgres = load(PostgresSettings)
        try:
            migrate(postgres.postgres_dsn)
        except psycopg2.OperationalError as error:
            raise Unavailable("Postgres", str(error).strip()) from error
    except RecommenderError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
