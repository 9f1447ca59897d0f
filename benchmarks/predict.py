"""How many predictions a second the predictor gives over HTTP, one pair a request."""

from __future__ import annotations

from benchmarks.load import CONNECTIONS, Connections, Request, Seconds, compared
from benchmarks.report import Json, show
from benchmarks.serving import Items, Rank, Size, Users, item_id, serving, user_id

_ASKED = 200_000  # different requests


def predict(
    items: Items = 45_000,
    users: Users = 5_000,
    rank: Rank = 32,
    seconds: Seconds = 5,
    connections: Connections = CONNECTIONS,
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
