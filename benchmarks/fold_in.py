"""How many strangers a second the predictor recommends to, each given by ratings alone."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import orjson
import typer

from benchmarks.load import CONNECTIONS, Connections, Request, Seconds, compared
from benchmarks.report import Json, show
from benchmarks.serving import Items, Rank, RankingRank, Size, item_id, serving

_ASKED = 20_000  # different people


def fold_in(
    items: Items = 45_000,
    ratings: Annotated[int, typer.Option(min=1, help="Ratings that each brings.")] = 20,
    rank: Rank = 32,
    ranking_rank: RankingRank = 64,
    seconds: Seconds = 5,
    connections: Connections = CONNECTIONS,
    as_json: Json = False,
) -> None:
    """`POST /recommend` for somebody anonymous, beside a route that does nothing."""
    size = Size(items, 100, rank, ranking_rank)
    drawn = np.random.default_rng(4)
    rated = drawn.integers(items, size=(_ASKED, ratings))
    values = drawn.integers(1, 11, size=(_ASKED, ratings)) / 2
    asked = [
        Request(
            "/recommend",
            orjson.dumps({"ratings": dict(zip(map(item_id, some), given, strict=True)), "n": 10}),
        )
        for some, given in zip(rated.tolist(), values.tolist(), strict=True)
    ]
    with serving(size) as running:
        figures = compared(running.url, asked, running.yardsticks, seconds, connections)
    show("fold-in", {**figures, **vars(size), "ratings": ratings}, as_json)
