"""The first look at bytes leaves out nothing that belongs into the list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.listing import Wishes, recommend
from predictor.ranking import by_model
from predictor.served import Served
from predictor.shortlist import FEWEST_ITEMS, CodedVectors, can_be_best
from predictor.users import User
from recommender.rows import Rows
from recommender.settings import ScaleSettings
from storage.as_of import AsOf
from storage.reading import ModelRecord

N_ITEMS = FEWEST_ITEMS + 37  # not a whole number of blocks


def served(rank: int, ranking_rank: int, seed: int) -> Served:
    """A model in which some rows are alike, some empty and some far larger than others."""
    settings = {"rank": rank, "ranking_rank": ranking_rank, "rating_min": 0.5, "rating_max": 5.0}
    as_of = AsOf(1, {"ratings": {0: 1}}, 3.5, 1, 1e9)
    built = Served(ModelRecord(1, "serving", "", settings, as_of), ScaleSettings(), "ratings")
    drawn = np.random.default_rng(seed)
    rows = Rows.empty(N_ITEMS, built.form)
    rows.n[:] = drawn.integers(1, 50, N_ITEMS)
    rows.bias[:] = drawn.normal(0, 0.3, N_ITEMS)
    for vectors in (rows.factors, rows.ranking):
        vectors[:] = drawn.normal(0, 0.2, vectors.shape)
        vectors[100:200] = vectors[7]
        vectors[300:320] = 0
        vectors[drawn.integers(0, N_ITEMS, 5)] *= 30
    rows.bias[100:200], rows.n[100:200] = rows.bias[7], rows.n[7]
    built.put_items([f"i{number}" for number in range(N_ITEMS)], rows)
    return built


def somebody(model: Served, seed: int) -> User:
    drawn = np.random.default_rng(seed)
    form = model.form
    return User(
        user="u",
        n=3,
        bias=0.2,
        factors=drawn.normal(0, 0.5, form.rank).astype(np.float32),
        ranking=drawn.normal(0, 0.5, form.ranking_rank).astype(np.float32),
        rated={f"i{item}": 4.0 for item in drawn.integers(0, N_ITEMS, seed % 3 * 40).tolist()},
    )


@pytest.mark.parametrize(("rank", "ranking_rank"), [(32, 64), (5, 0), (3, 7)])
@pytest.mark.parametrize("seed", range(4))
def test_the_list_is_that_of_all_scores(rank: int, ranking_rank: int, seed: int) -> None:
    model = served(rank, ranking_rank, seed)
    user = somebody(model, seed)
    exact = by_model(model, user, np.empty(0, np.intp)).total.astype(np.float64)
    exact[model.items.positions(user.rated or ())] = -np.inf
    exact[model.items.positions(["i5"])] = -np.inf
    expected = np.sort(exact)[::-1][:30]

    listed = recommend(model, [user], Wishes(n=30, exclude=("i5",)))

    positions = [one.position for one in listed]
    assert len(set(positions)) == 30
    # By score, not by position: rows alike may differ in the last bit from one product to another.
    assert exact[positions] == pytest.approx(expected, abs=1e-5)
    assert [one.score for one in listed] == pytest.approx(expected, abs=1e-5)


@given(seed=st.integers(0, 10_000), rank=st.integers(1, 70), size=st.floats(1e-20, 1e6))
@settings(max_examples=60, deadline=None)
def test_products_are_as_right_as_they_say(seed: int, rank: int, size: float) -> None:
    drawn = np.random.default_rng(seed)
    vectors = (drawn.standard_normal((70, rank)) * size).astype(np.float32)
    vector = drawn.standard_normal(rank).astype(np.float32)
    coded = CodedVectors(64, rank).grown(128)
    coded.put(np.arange(70), vectors)
    products, bound = coded.products(vector, 70)
    exact = vectors.astype(np.float64) @ vector.astype(np.float64)
    assert (np.abs(products - exact) <= coded.scales[:70].astype(np.float64) * bound).all()


def test_what_can_be_best_are_those_whose_bounds_reach_the_nth() -> None:
    scores = np.array([5.0, 4.5, 3.0, -np.inf, 3.4], np.float32)
    errors = np.array([0.1, 0.1, 0.5, 0.1, 0.0], np.float32)
    # Lower bounds 4.9, 4.4, 2.5, 3.4: the third best is 3.4 at least; 3.0 may be 3.5.
    assert can_be_best(scores.copy(), errors, 3).tolist() == [0, 1, 2, 4]
    assert can_be_best(scores.copy(), errors, 2).tolist() == [0, 1]
    assert can_be_best(scores.copy(), errors, 5).tolist() == [0, 1, 2, 4]
