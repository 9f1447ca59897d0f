"""The quick search finds what a look at all items finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.attributes import Condition, Mask
from predictor.listing import Wishes, recommend
from predictor.ranking import by_model
from predictor.served import Served
from predictor.shortlist import FEWEST_ITEMS, OrderedItems
from predictor.users import User
from recommender.rows import RowFormat, Rows
from recommender.settings import ScaleSettings
from storage.as_of import AsOf
from storage.reading import CatalogueEntry, ModelRecord

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
    built.items.ordered = built.in_order()
    return built


def changed(model: Served, seed: int, n: int) -> None:
    """Other rows for some items, and as many new items, after the items were put in order."""
    drawn = np.random.default_rng(seed)
    rows = Rows.empty(2 * n, model.form)
    rows.n[:] = drawn.integers(1, 80, 2 * n)
    rows.bias[:] = drawn.normal(0, 0.5, 2 * n)
    for vectors in (rows.factors, rows.ranking):
        vectors[:] = drawn.normal(0, 0.4, vectors.shape)
    places = drawn.choice(N_ITEMS, n, replace=False)
    names = [f"i{number}" for number in places.tolist()]
    model.put_items(names + [f"new {number}" for number in range(n)], rows)


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
    assert_listed_as_by_all_scores(model, user, Wishes(n=30, exclude=("i5",)))


def assert_listed_as_by_all_scores(
    model: Served, user: User, wishes: Wishes, refused: Mask | None = None
) -> None:
    exact = by_model(model, user, np.empty(0, np.intp)).total.astype(np.float64)
    exact[model.items.positions(user.rated or ())] = -np.inf
    exact[model.items.positions(wishes.exclude)] = -np.inf
    if refused is not None:
        exact[refused] = -np.inf
    expected = np.sort(exact)[::-1][: wishes.n]
    expected = expected[expected > -np.inf]

    listed = [one for one in recommend(model, [user], wishes) if one.source == "model"]

    positions = [one.position for one in listed]
    assert len(set(positions)) == len(expected)
    # By score, not by position: rows alike may differ in the last bit from one product to another.
    assert exact[positions] == pytest.approx(expected, abs=1e-5)
    assert [one.score for one in listed] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("rank", "ranking_rank"), [(32, 64), (5, 0)])
@pytest.mark.parametrize("seed", range(3))
def test_changed_and_new_items_are_listed_at_once(rank: int, ranking_rank: int, seed: int) -> None:
    model = served(rank, ranking_rank, seed)
    ordered = model.items.ordered
    changed(model, seed + 50, 300)
    assert model.items.ordered is ordered  # the same order, brought up to date
    user = somebody(model, seed)

    assert_listed_as_by_all_scores(model, user, Wishes(n=30, exclude=("i5", "new 3")))
    model.items.ordered = model.in_order()
    assert_listed_as_by_all_scores(model, user, Wishes(n=30, exclude=("i5", "new 3")))


@pytest.mark.parametrize("share", [0.5, 0.01, 0.001])
def test_filters_leave_what_they_let_pass(share: float) -> None:
    model = served(32, 64, 1)
    changed(model, 51, 100)
    drawn = np.random.default_rng(2)
    passed = drawn.random(len(model.items)) < share
    model.put_catalogue(
        [
            CatalogueEntry(item, None, {"language": "fr"})
            for item, wanted in zip(model.items.ids, passed, strict=True)
            if wanted
        ]
    )
    wishes = Wishes(n=20, conditions=(Condition.parse("language:fr"),))

    assert_listed_as_by_all_scores(model, somebody(model, 1), wishes, ~passed)


def test_most_of_the_catalogue_can_be_excluded() -> None:
    model = served(5, 7, 3)
    withdrawn = [f"i{number}" for number in range(N_ITEMS) if number % 50]
    model.put_catalogue([CatalogueEntry(item, None, {"available": False}) for item in withdrawn])

    assert_listed_as_by_all_scores(
        model, somebody(model, 3), Wishes(n=20), np.isin(model.items.ids, withdrawn)
    )


@given(
    seed=st.integers(0, 10_000),
    rank=st.integers(0, 40),
    ranking_rank=st.integers(1, 70),
    size=st.floats(1e-10, 1e6),
    weight=st.sampled_from([0.5, 0.1]),  # that which the score has, and another one
)
@settings(max_examples=60, deadline=None)
def test_the_highest_and_the_best_are_among_those_found(
    seed: int, rank: int, ranking_rank: int, size: float, weight: float
) -> None:
    drawn = np.random.default_rng(seed)
    rows = Rows.empty(200, RowFormat(rank, ranking_rank))
    rows.ranking[:] = drawn.standard_normal(rows.ranking.shape) * size
    rows.factors[:] = drawn.standard_normal(rows.factors.shape)
    rows.bias[:] = drawn.standard_normal(200)
    popular = drawn.random(200).astype(np.float32)
    ordered = OrderedItems(rows, popular, np.linalg.norm(rows.ranking, axis=1), weight)
    ranking = drawn.standard_normal(ranking_rank).astype(np.float32)
    factors = drawn.standard_normal(rank).astype(np.float32)
    head = rows.ranking.astype(np.float64) @ ranking
    # Asked for the best alone, or after the highest, which leaves products behind.
    alone, search = ordered.search(ranking), ordered.search(ranking)
    assert not head.max() > 0 or head.argmax() in search.longest_product()

    scores = head / size + rows.factors @ factors + 0.5 * rows.bias + 2.0 * popular
    excluded = drawn.integers(0, 200, 20)
    scores[excluded] = -np.inf
    for one in (search, alone):
        found = one.best(1 / size, factors, 0.5, 2.0, 3.5, 5, excluded, None)
        assert set(np.argsort(-scores)[:5].tolist()) <= set(found.tolist())


def test_few_items_are_looked_at_where_vectors_differ_in_length() -> None:
    rows = Rows.empty(6400, RowFormat(0, 8))
    rows.ranking[:] = np.random.default_rng(1).standard_normal(rows.ranking.shape)
    rows.ranking[64:] *= 0.01
    lengths = np.linalg.norm(rows.ranking, axis=1)
    ordered = OrderedItems(rows, np.zeros(6400, np.float32), lengths, 0.1)
    found = ordered.search(np.ones(8, np.float32)).longest_product()
    assert set(found.tolist()) <= set(range(64))


def test_put_in_order_again_once_a_quarter_has_changed() -> None:
    model = served(3, 2, 1)
    changed(model, 1, 500)
    assert not model.items.out_of_order  # 500 changed and 500 new of 4,633
    changed(model, 2, 300)
    assert model.items.out_of_order
    model.items.ordered = model.in_order()
    assert not model.items.out_of_order
    popular = np.arange(100)
    for _ in range(50):  # in every micro-batch the same: 5,000 rows, and 100 items
        model.items.put_at(popular, model.items.rows(popular))
    assert not model.items.out_of_order
