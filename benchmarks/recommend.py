"""How many recommendations a second the predictor gives over HTTP."""

from __future__ import annotations

from benchmarks.learned_model import model_to_serve
from benchmarks.load import CONNECTIONS, Connections, Request, Seconds, compared
from benchmarks.report import Json, show
from benchmarks.serving import (
    Drawn,
    Items,
    Rank,
    RankingRank,
    Size,
    Users,
    WhileLearning,
    served_as_asked,
    user_id,
)


def recommend(
    items: Items = 45_000,
    users: Users = 5_000,
    rank: Rank = 32,
    ranking_rank: RankingRank = 64,
    drawn: Drawn = False,
    learning: WhileLearning = True,
    seconds: Seconds = 5,
    connections: Connections = CONNECTIONS,
    as_json: Json = False,
) -> None:
    """`GET /recommend` of ten items not rated yet, beside a no-op route of the server."""
    size = Size(items, users, rank, ranking_rank)
    asked = [Request(f"/recommend?user={user_id(n * 7919 % users)}&n=10") for n in range(users)]
    model = model_to_serve(size, drawn, everybody=learning)
    with served_as_asked(size, model, learning) as (running, learned):
        figures = compared(running.url, asked, running.yardsticks, seconds, connections)
    show("recommend", {**figures, **learned, **vars(size), "drawn": drawn}, as_json)
