"""``python -m recommender``: what can be done with ratings alone, at the terminal.

The one module of this room that names another: ALS is Spark's, and Spark is the modeler's. It is
imported only where that is asked for; import-linter knows of it (pyproject.toml).
"""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from recommender.datasets import IndexedRatings
from recommender.errors import RecommenderError
from recommender.model_file import Model
from recommender.terminal import command


def als(train: IndexedRatings, scale: tuple[float, float]) -> Model:
    """Spark's ALS over preferences: a list is a ranking, and explicit ALS ranks badly."""
    from modeler.methods import Method, Task, learn
    from recommender.model_settings import ModelSettings
    from recommender.settings import load

    given = dict(zip(("rating_min", "rating_max"), scale, strict=True))
    settings = load(ModelSettings).model_copy(update=given)
    return learn(Method.als_implicit, Task(train, settings)).recommender


app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.command("recommend")(command(als))


@app.callback()
def recommender() -> None:
    """Recommend from a file of ratings, without any service."""


def main() -> None:
    """Run a command; an error raised on purpose is one sentence and exit code 2."""
    try:
        app()
    except RecommenderError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {error}", highlight=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
