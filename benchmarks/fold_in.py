"""How many strangers a second the predictor recommends to, each given by ratings alone."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import orjson
import typer

from benchmarks.learned_model import model_to_serve
from benchmarks.load import CONNECTIONS, Connections, Request, Seconds, compared
from benchmarks.report import Json, show
from benchmarks.serving import (
    Drawn,
    Items,
    Rank,
    RankingRank,
    Size,
    WhileLearning,
    drawn_items,
    item_id,
    served_as_asked,
)

_ASKED = 20_000  # different people


def fold_in(
    items: Items = 45_000,
    ratings: Annotated[int, typer.Option(min=1, help="Ratings that each brings.")] = 20,
    rank: Rank = 32,
    ranking_rank: RankingRank = 64,
    drawn: Drawn = False,
    learning: WhileLearning = True,
    seconds: Seconds = 5,
    connections: Connections = CONNECTIONS,
    as_json: Json = False,
) -> None:
    """`POST /recommend` for somebody anonymous, beside a no-op route of the server."""
    size = Size(items, 100, rank, ranking_rank)
    model = model_to_serve(size, drawn, everybody=learning)
    random = np.random.default_rng(4)
    # What people rate is what many rate; of an item that comes twice once.
    rated = drawn_items(model.items, _ASKED * ratings, random).reshape(_ASKED, ratings)
    values = random.integers(1, 11, size=(_ASKED, ratings)) / 2
    asked = [
        Request(
            "/recommend",
            orjson.dumps({"ratings": dict(zip(map(item_id, some), given, strict=True)), "n": 10}),
        )
        for some, given in zip(rated.tolist(), values.tolist(), strict=True)
    ]
    with served_as_asked(size, model, learning) as (running, learned):
        figures = compared(running.url, asked, running.yardsticks, seconds, connections)
    show(
        "fold-in", {**figures, **learned, **vars(size), "drawn": drawn, "ratings": ratings}, as_json
    )
