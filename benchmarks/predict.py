"""How many predictions a second the predictor gives over HTTP, one pair a request."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.load import CONNECTIONS, Request, compared
from benchmarks.report import Json, show
from benchmarks.serving import Size, item_id, serving, user_id

_ASKED = 200_000  # different requests


def predict(
    items: Annotated[int, typer.Option(min=1, help="Items.")] = 45_000,
    users: Annotated[int, typer.Option(min=1, help="Users, asked for in turn.")] = 5_000,
    rank: Annotated[int, typer.Option(min=1, help="Factors of the rating head.")] = 32,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds of each turn.")] = 5,
    connections: Annotated[int, typer.Option(min=1, help="Clients.")] = CONNECTIONS,
    as_json: Json = False,
) -> None:
    """`GET /predict` of one pair, beside a route that does nothing."""
    size = Size(items, users, rank)
    asked = [
        Request(f"/predict?user={user_id(n * 7919 % users)}&item={item_id(n * 104729 % items)}")
        for n in range(_ASKED)
    ]
    with serving(size) as running:
        figures = compared(running.url, asked, running.yardsticks, seconds, connections)
    show("predict", {**figures, **vars(size)}, as_json)
