"""How many predictions a second the predictor gives over HTTP, one pair a request."""

from __future__ import annotations

from benchmarks.learned_model import model_to_serve
from benchmarks.load import CONNECTIONS, Connections, Request, Seconds, compared
from benchmarks.report import Json, show
from benchmarks.serving import (
    Drawn,
    Items,
    Rank,
    Size,
    Users,
    WhileLearning,
    item_id,
    served_as_asked,
    user_id,
)

_ASKED = 200_000  # different requests


def predict(
    items: Items = 45_000,
    users: Users = 5_000,
    rank: Rank = 32,
    drawn: Drawn = False,
    learning: WhileLearning = True,
    seconds: Seconds = 5,
    connections: Connections = CONNECTIONS,
    as_json: Json = False,
) -> None:
    """`GET /predict` of one pair, beside a no-op route of the server."""
    size = Size(items, users, rank)
    asked = [
        Request(f"/predict?user={user_id(n * 7919 % users)}&item={item_id(n * 104729 % items)}")
        for n in range(_ASKED)
    ]
    model = model_to_serve(size, drawn, everybody=learning)
    with served_as_asked(size, model, learning) as (running, learned):
        figures = compared(running.url, asked, running.yardsticks, seconds, connections)
    show("predict", {**figures, **learned, **vars(size), "drawn": drawn}, as_json)
