"""New items get rows from their attributes, and places in lists by exploration."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.listing import Wishes, recommend
from predictor.prediction import predict
from predictor.served import Served
from predictor.users import unknown
from recommender.exploration import explored_places
from recommender.rows import RowFormat, Rows
from recommender.settings import ScaleSettings
from storage.as_of import AsOf
from storage.reading import CatalogueEntry, ModelRecord

FORM = RowFormat(rank=2, ranking_rank=2)


@pytest.fixture
def served() -> Served:
    """200 films, "good" ones with a bias of 1, "bad" ones of -1, all with many ratings."""
    record = ModelRecord(
        1, "serving", "", {"rank": 2, "ranking_rank": 2}, AsOf(1, {}, 3.5 * 9999, 9999, 1e9)
    )
    made = Served(record, ScaleSettings(), "ratings")
    rows = Rows.empty(200, FORM)
    rows.n[:] = 50
    rows.bias[:] = np.tile([1, -1], 100)
    names = [f"film {place}" for place in range(200)]
    made.load_items(names, rows)
    made.put_catalogue(
        [
            CatalogueEntry(name, None, {"genres": [("good", "bad")[place % 2]]})
            for place, name in enumerate(names)
        ]
    )
    made.take_cold(made.fit_cold(), all_rows=True)
    return made


def expected(served: Served, item: str) -> tuple[float, str]:
    found = predict(served, unknown(FORM, "nobody"), [item])[0]
    return found.score, found.source


def test_attributes_speak_for_an_item_without_ratings(served: Served) -> None:
    served.put_catalogue([CatalogueEntry("new", None, {"genres": ["good"]})])
    score, source = expected(served, "new")
    assert source == "content"
    assert score == pytest.approx(3.5 + 1, abs=0.15)
    served.put_catalogue([CatalogueEntry("new", None, {"genres": ["bad"]})])
    assert expected(served, "new")[0] == pytest.approx(3.5 - 1, abs=0.15)
    served.put_catalogue([CatalogueEntry("bare", None, {})])
    assert expected(served, "bare") == (pytest.approx(3.5, abs=1e-3), "mean")


def test_the_first_ratings_take_over(served: Served) -> None:
    served.put_catalogue([CatalogueEntry("new", None, {"genres": ["good"]})])
    said = expected(served, "new")[0] - served.mean
    rows = Rows.empty(1, FORM)
    for n in (1, 3):
        rows.n[:], rows.bias[:] = n, -0.5
        served.put_items(["new"], rows)
        score, source = expected(served, "new")
        assert source == "item-bias"
        assert score == pytest.approx(served.mean + (said - 0.5 * n) / (n + 1), abs=1e-3)


def test_rows_that_many_have_rated_stay_as_they_are(served: Served) -> None:
    assert set(served.items.bias.tolist()) == {1.0, -1.0}


def test_exploration_gives_new_items_a_bounded_share(served: Served) -> None:
    served.put_catalogue(
        [CatalogueEntry(f"new {n}", None, {"genres": ["good"]}) for n in range(30)]
    )
    person = unknown(FORM, "nobody")
    found = recommend(served, [person], Wishes(n=20, explore=0.2, strategy="popular"))
    places = [place for place, one in enumerate(found) if one.source == "exploration"]
    assert places == explored_places(20, 0.2) == [4, 9, 14, 19]
    assert len({one.position for one in found}) == 20
    again = recommend(served, [person], Wishes(n=20, explore=0.2, strategy="popular"))
    assert [one.position for one in again] == [one.position for one in found]
    other = recommend(served, [unknown(FORM, "x")], Wishes(n=20, explore=0.2, strategy="popular"))
    assert [one.position for one in other] != [one.position for one in found]
    plain = recommend(served, [person], Wishes(n=20, strategy="popular"))
    assert {one.source for one in plain} == {"popular"}
