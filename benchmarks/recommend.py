"""How many recommendations a second the predictor gives over HTTP."""

from __future__ import annotations

from benchmarks.load import CONNECTIONS, Connections, Request, Seconds, compared
from benchmarks.report import Json, show
from benchmarks.serving import Items, Rank, RankingRank, Size, Users, serving, user_id


def recommend(
    items: Items = 45_000,
    users: Users = 5_000,
    rank: Rank = 32,
    ranking_rank: RankingRank = 64,
    seconds: Seconds = 5,
    connections: Connections = CONNECTIONS,
    as_json: Json = False,
) -> None:
    """`GET /recommend` of ten items not rated yet, beside a route that does nothing."""
    size = Size(items, users, rank, ranking_rank)
    asked = [Request(f"/recommend?user={user_id(n * 7919 % users)}&n=10") for n in range(users)]
    with serving(size) as running:
        figures = compared(running.url, asked, running.yardsticks, seconds, connections)
    show("recommend", {**figures, **vars(size)}, as_json)
