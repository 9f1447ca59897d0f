"""``python -m local``: the whole product on this machine (`make run`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console

from local.settings import LocalSettings
from recommender.errors import RecommenderError
from recommender.settings import load

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, help="The whole product on this machine."
)


@app.callback()
def main() -> None:
    """The whole product on this machine."""


@app.command()
def run(
    dataset: Annotated[
        Path | None,
        typer.Option("--data", help="MovieLens zip or folder, or CSV; by default MovieLens."),
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Ratings per second to stream.")] = None,
    backlog: Annotated[
        float | None, typer.Option(help="Share of the data to learn before serving, 0 to 1.")
    ] = None,
) -> None:
    """Start Kafka, Postgres, Redis and the services, load data, and keep all of it running."""
    # What libraries and rooms log on the way is for files; here is a person.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    console = Console(highlight=False)
    try:
        given = {"dataset": dataset, "rate": rate, "backlog": backlog}
        settings = _settings({name: value for name, value in given.items() if value is not None})
        from local.run import Run

        Run(settings, console).run()
    except RecommenderError as error:
        Console(stderr=True, highlight=False).print(f"[red]error:[/red] {error}", soft_wrap=True)
        raise typer.Exit(1) from None


@app.command()
def env() -> None:
    """Print the running stack's addresses: eval "$(python -m local env)"."""
    from local.environment import exports, of_running

    try:
        typer.echo(exports(of_running(load(LocalSettings).state)))
    except RecommenderError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def _settings(given: dict[str, Any]) -> LocalSettings:
    """The environment's settings, overridden by the command line's; both are checked alike."""

    class Given(LocalSettings):
        def __init__(self) -> None:
            super().__init__(**given)

    return load(Given)


if __name__ == "__main__":
    app()
