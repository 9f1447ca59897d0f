"""A model of four users and four items that can be worked out by hand: rank 2, μ = 3.5."""

from __future__ import annotations

from predictor.served import Served
from recommender.rows import RowFormat, Rows
from recommender.settings import ScaleSettings
from storage.as_of import AsOf
from storage.reading import CatalogueEntry, ModelRecord

# n, bias, P_y, Q_y
ITEMS = {
    "a": (3, 0.25, (0.25, 0.5), (0.0, 1.0)),
    "b": (1, -0.25, (1.0, -1.0), (1.0, 0.0)),
    "c": (2, 0.0, (-1.0, 0.125), (0.5, 0.5)),
}
# n, bias, U_x, V_x
USERS = {
    "alice": (2, 0.5, (1.0, 0.0), (1.0, 0.25)),
    "bob": (2, -0.5, (0.0, 2.0), (0.0, 1.0)),
    "carl": (1, 2.0, (1.0, 0.0), (0.0, 0.0)),
    "dora": (1, -3.0, (0.0, -1.0), (0.0, 0.0)),
}


def served_model(ranking_rank: int = 0, **settings: float) -> Served:
    form = RowFormat(rank=2, ranking_rank=ranking_rank)
    record = ModelRecord(
        model=7,
        status="serving",
        data="by hand",
        settings={
            "rank": 2,
            "ranking_rank": ranking_rank,
            "rating_min": 0.5,
            "rating_max": 5.0,
            **settings,
        },
        # μ = (14.75 + 2.75) / (4 + 1) = 3.5: half the scale counts as one rating
        as_of=AsOf(batch=3, offsets={"ratings": {0: 4}}, rating_sum=14.75, rating_count=4, at=1e9),
    )
    served = Served(record, ScaleSettings(), "ratings")
    rows = form.empty(len(ITEMS))
    for place, (n, bias, factors, ranking) in enumerate(ITEMS.values()):
        rows[place] = (n, bias, factors, ranking[:ranking_rank], 0.0)
    served.load_items(list(ITEMS), Rows.unpack(rows))
    # "d" is in the catalogue only
    served.put_catalogue([CatalogueEntry("a", "Alien (1979)", {}), CatalogueEntry("d", "Dune", {})])
    return served
