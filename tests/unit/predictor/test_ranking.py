"""Which items are recommended, and in which order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from predictor.listing import Wishes, recommend
from predictor.ranking import best
from predictor.served import Served
from recommender.settings import ScaleSettings
from storage.reading import CatalogueEntry
from tests.fakes.hand_model import served_model


def recommended(served, user, n=10, **options):
    ranked = recommend(served, [user], Wishes(n=n, **options))
    sources = {one.source for one in ranked}
    scores = {served.items.ids[one.position]: one.score for one in ranked}
    return scores, sources.pop() if sources else None


def test_without_a_ranking_head_popularity_is_added(served, user):
    # r̂ + ½ log₂(1 + n): 4.5 + 1, 4.75 + 0.5, 3 + ½ log₂ 3, and μ + b_x = 4 for "d", never rated.
    # By predicted rating alone "b" would be first.
    scores, source = recommended(served, user("alice"))
    assert list(scores) == ["a", "b", "d", "c"]
    assert scores == pytest.approx({"a": 5.5, "b": 5.25, "d": 4.0, "c": 3.79248}, abs=1e-4)
    assert source == "model"


def test_with_a_ranking_head_its_score_leads(served_with_ranking, user):
    # V·Q over its highest, 1: a 0.25, b 1, c 0.625, d 0; + 0.1 r̂: 0.45, 0.475, 0.3, 0.4;
    # + popularity 2 · 4/(4 + 2 ratings) · n/3: a 4/3, b 4/9, c 8/9, d 0
    scores, source = recommended(served_with_ranking, user("alice"))
    expected = {"a": 0.7 + 4 / 3, "b": 1.475 + 4 / 9, "c": 0.925 + 8 / 9, "d": 0.4}
    assert list(scores) == ["a", "b", "c", "d"]
    assert scores == pytest.approx(expected, abs=1e-6)
    assert source == "model"


def test_popularity_fades_with_what_is_known_of_a_user(served_with_ranking, user):
    alice = user("alice")
    known = replace(alice, n=7996)  # 2 · 4/(4 + 7996) = 0.001
    scores, _ = recommended(served_with_ranking, known)
    assert list(scores) == ["b", "c", "a", "d"]
    assert scores["a"] == pytest.approx(0.7 + 0.001)


def test_a_head_that_has_nothing_to_say_is_no_division_by_zero(served_with_ranking, user):
    scores, _ = recommended(served_with_ranking, user("carl"))  # V = 0, n = 1, b = 2
    assert scores["a"] == pytest.approx(0.1 * (3.5 + 2 + 0.25 + 0.25) + 2 * 4 / 5)


def test_the_user_is_folded_in_from_the_ratings_at_hand(served_with_ranking, user):
    """V minimises (1 - V·Q_a)² + ½ Σ_z (V·Q_z)² + λ |V|² (a is rated 5)."""
    alice = user("alice", rated={"a": 5.0, "gone": 1.0})
    items = served_with_ranking.items
    place, rated = items.position("a"), items.n > 0
    vectors = items.ranking[rated].astype(float)
    weight = np.where(np.flatnonzero(rated) == place, 1.0, 0.5)
    target = np.where(np.flatnonzero(rated) == place, 1.0, 0.0)
    ridge = 0.003 * (1 + 0.5 * rated.sum())
    equations = np.vstack([vectors * np.sqrt(weight)[:, None], np.sqrt(ridge) * np.eye(2)])
    vector, *_ = np.linalg.lstsq(
        equations, np.concatenate([target * np.sqrt(weight), np.zeros(2)]), rcond=None
    )
    plain, _ = recommended(served_with_ranking, user("alice"), include_rated=True)
    folded, _ = recommended(served_with_ranking, alice, include_rated=True)
    streamed = user("alice").ranking
    heads = {item: items.ranking[items.position(item)] for item in plain}
    highest = [max(v @ q for q in heads.values()) for v in (streamed, vector)]
    for item, score in folded.items():
        change = vector @ heads[item] / highest[1] - streamed @ heads[item] / highest[0]
        assert score == pytest.approx(plain[item] + change, abs=1e-5)


def test_the_weight_of_the_predicted_rating_follows_the_scale(user):
    # On a scale ten times as wide one unit is a tenth of a star: d 0 + 0.01 (μ + b_x),
    # μ = (14.75 + 27.5) / 5
    served = served_model(ranking_rank=2, rating_min=5.0, rating_max=50.0)
    scores, _ = recommended(served, user("alice"))
    assert scores["d"] == pytest.approx(0.01 * (42.25 / 5 + 0.5))


def test_rated_items_are_left_out_unless_asked_for(served, user):
    alice = user("alice", rated={"a": 5.0, "gone": 1.0})
    assert list(recommended(served, alice)[0]) == ["b", "d", "c"]
    assert list(recommended(served, alice, n=1)[0]) == ["b"]
    assert list(recommended(served, alice, include_rated=True)[0]) == ["a", "b", "d", "c"]


def test_who_has_rated_everything_gets_rated_items_again(served, user):
    alice = user("alice", rated=dict.fromkeys("abcd", 3.0))
    scores, source = recommended(served, alice)
    assert source == "rated"
    assert scores == recommended(served, alice, include_rated=True)[0]
    # What somebody has left out on purpose stays out, and one item is enough of a list.
    assert list(recommended(served, alice, exclude=("a", "b", "c"))[0]) == ["d"]
    assert recommended(served, alice, exclude=tuple("abcd"))[0] == {}
    assert recommended(served, alice, offset=4)[0] == {}  # the page after the last one
    three = user("alice", rated=dict.fromkeys("abc", 3.0))
    assert list(recommended(served, three)[0]) == ["d"]
    assert recommended(served, three, offset=1)[0] == {}


def test_an_unknown_user_gets_the_most_rated(served, user):
    scores, source = recommended(served, user("nobody"))
    assert list(scores) == ["a", "c", "b", "d"]  # rated 3, 2, 1 and 0 times
    assert source == "popular"


def test_without_a_model_the_catalogue_is_recommended(user):
    served = Served(None, ScaleSettings(), "ratings")
    served.put_catalogue([CatalogueEntry(item, None, {}) for item in "xyz"])
    nobody = replace(user("nobody"), factors=np.zeros(0), ranking=np.zeros(0))
    scores, source = recommended(served, nobody, n=2)
    assert list(scores) == ["x", "y"]
    assert source == "popular"
    assert served.model is None


@given(
    scores=arrays(np.float32, st.integers(1, 60), elements=st.sampled_from([0.0, 1.0, 2.5, -3.0])),
    n=st.integers(1, 70),
    data=st.data(),
)
def test_best_is_a_stable_sort_without_the_excluded(scores, n, data):
    excluded = data.draw(st.lists(st.integers(0, len(scores) - 1)))
    left = [place for place in range(len(scores)) if place not in excluded]
    expected = sorted(left, key=lambda place: -scores[place])[:n]
    assert best(scores.copy(), n, np.array(excluded, dtype=np.intp)).tolist() == expected
