"""``python -m local.load``: writes a whole data set, ratings and catalogue, into the log.

For installations that bring their own stores, as docker-compose does. Safe to repeat: each rating
has an event id, by which it counts once.
"""

from __future__ import annotations

import structlog
import typer

from local import backlog, data
from local.settings import LocalSettings
from recommender.errors import RecommenderError
from recommender.settings import load
from service.logs import configure_logs
from storage.settings import KafkaSettings

log = structlog.get_logger(__name__)


def main() -> None:
    """Load what `RECOMMENDER_DATASET` names, else MovieLens, else generated data; then end."""
    try:
        settings, kafka = load(LocalSettings), load(KafkaSettings)
        configure_logs("info")
        source = data.choose(settings)
        part = backlog.cut(source.load(), share=1.0)
        log.info("loading", data=source.description, ratings=len(part.backlog))
        backlog.publish(part, kafka)
        log.info("all ratings are in the log", ratings=len(part.backlog))
    except RecommenderError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
