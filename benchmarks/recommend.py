"""How many recommendations a second the predictor gives over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.load import CONNECTIONS, Request, compared
from benchmarks.report import Json, show
from benchmarks.serving import Size, serving, user_id


def recommend(
    items: Annotated[int, typer.Option(min=1, help="Items.")] = 45_000,
    users: Annotated[int, typer.Option(min=1, help="Users, asked for in turn.")] = 5_000,
    rank: Annotated[int, typer.Option(min=1, help="Factors of the rating head.")] = 32,
    ranking_rank: Annotated[
        int, typer.Option(min=0, help="Factors of the ranking head; 0: none.")
    ] = 64,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds of each turn.")] = 5,
    connections: Annotated[int, typer.Option(min=1, help="Clients.")] = CONNECTIONS,
    as_json: Json = False,
) -> None:
    """`GET /recommend` of ten items not rated yet, beside a route that does nothing."""
    size = Size(items, users, rank, ranking_rank)
    asked = [Request(f"/recommend?user={user_id(n * 7919 % users)}&n=10") for n in range(users)]
    with serving(size) as running:
        figures = compared(running.url, asked, running.yardsticks, seconds, connections)
    show("recommend", {**figures, **vars(size)}, as_json)
