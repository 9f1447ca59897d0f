"""``python -m benchmarks``: the registry; each benchmark is one file with one command."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from benchmarks.accuracy import accuracy
from benchmarks.bloat import bloat
from benchmarks.blocks import blocks
from benchmarks.first_paint import first_paint
from benchmarks.fit import fit
from benchmarks.fold_in import fold_in
from benchmarks.freshness import freshness
from benchmarks.growth import growth
from benchmarks.ingest import ingest
from benchmarks.kernel import kernel
from benchmarks.predict import predict
from benchmarks.race import race
from benchmarks.recommend import recommend
from benchmarks.recommend_large import recommend_large
from benchmarks.recovery import recovery
from benchmarks.stream import stream
from benchmarks.vectors import vectors
from recommender.errors import RecommenderError
from service.logs import configure_logs

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Benchmarks; each prints one JSON object with --json. Method: docs/performance.md.",
)
for benchmark in (
    accuracy,
    bloat,
    blocks,
    first_paint,
    fit,
    fold_in,
    freshness,
    growth,
    ingest,
    kernel,
    predict,
    race,
    recommend,
    recommend_large,
    recovery,
    stream,
    vectors,
):
    app.command(benchmark.__name__.replace("_", "-"))(benchmark)

if __name__ == "__main__":
    configure_logs("warning")  # to stderr: stdout is the figures' alone
    try:
        app()
    except RecommenderError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {error}", highlight=False)
        sys.exit(1)
