"""Evaluation figures: worked out by hand, and against a plain reference that loops."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recommender import evaluation
from recommender.accuracy import accuracy
from recommender.baselines import Biases, Popularity
from recommender.datasets import IndexedRatings
from recommender.errors import InvalidInput
from recommender.evaluation import evaluate, rank, relevant_rating
from recommender.generate import Recipe, generate, world
from recommender.ranking_metrics import judge, top
from recommender.rating_head import Codes
from recommender.rows import Floats
from recommender.splits import Split, random_split


class Fixed:
    """A recommender whose answers are given as a matrix, users by items."""

    def __init__(self, matrix: list[list[float]] | np.ndarray) -> None:
        self.matrix = np.array(matrix, dtype=np.float32)
        self.asked: list[int] = []

    def predict(self, users: Codes, items: Codes) -> Floats:
        return self.matrix[users, items]

    def scores(self, users: Codes) -> Floats:
        self.asked += users.tolist()
        return self.matrix[users]


def ratings_of(rows: list[tuple[int, int, float]], n_users: int, n_items: int) -> IndexedRatings:
    users, items, values = zip(*rows, strict=True) if rows else ((), (), ())
    return IndexedRatings(
        np.array(users, np.int32),
        np.array(items, np.int32),
        np.array(values, np.float32),
        np.arange(len(rows), dtype=np.float64),
        pa.array([f"u{k}" for k in range(n_users)]),
        pa.array([f"i{k}" for k in range(n_items)]),
    )


def split_of(
    train: list[tuple[int, int, float]],
    test: list[tuple[int, int, float]],
    n_users: int,
    n_items: int,
) -> Split:
    return Split(
        train=ratings_of(train, n_users, n_items),
        test=ratings_of(test, n_users, n_items),
        n_train_users=1 + max(row[0] for row in train),
        n_train_items=1 + max(row[1] for row in train),
        rating_min=0.5,
        rating_max=5.0,
    )


def test_ranking_by_hand() -> None:
    # Relevant: items 2 and 4 (rated 4 and 5); 3 is in the test rows but disliked; 0 was seen.
    split = split_of([(0, 0, 5), (0, 5, 3)], [(0, 2, 4), (0, 3, 2), (0, 4, 5)], 1, 6)
    recommender = Fixed([[9, 8, 7, 6, 5, 4]])  # unseen, best first: 1, 2, 3, 4

    figures = rank(recommender, split.train, split.test).figures()

    # hits in places 2 and 4 of R = 2
    ideal = 1 / math.log2(2) + 1 / math.log2(3)
    assert figures["ndcg_at_10"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert figures["recall_at_10"] == 1.0
    assert figures["map_at_10"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert figures["hit_rate_at_10"] == 1.0
    assert figures["coverage_at_10"] == pytest.approx(4 / 6)
    assert figures["n_users_ranked"] == 1


def test_cut_at_k() -> None:
    split = split_of([(0, 0, 5)], [(0, 1, 5), (0, 2, 5), (0, 3, 5)], 1, 5)

    quality = rank(Fixed([[0, 5, 1, 2, 9]]), split.train, split.test, k=2)  # list: 4, 1

    assert quality.lists.tolist() == [[4, 1]]
    figures = quality.figures()
    assert figures["ndcg_at_2"] == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    assert figures["recall_at_2"] == pytest.approx(1 / 3)
    assert figures["map_at_2"] == pytest.approx((1 / 2) / 2)  # normalised by min(k, R) = 2


def test_a_perfect_list_scores_one_even_with_fewer_relevant_than_places() -> None:
    split = split_of([(0, 3, 5)], [(0, 1, 5), (0, 2, 4)], 1, 30)

    figures = rank(Fixed([[0, 9, 8, *[0] * 27]]), split.train, split.test).figures()

    assert figures["ndcg_at_10"] == pytest.approx(1.0)
    assert figures["map_at_10"] == pytest.approx(1.0)


def test_averages_over_users_with_a_relevant_item_only() -> None:
    split = split_of(
        [(0, 0, 5), (1, 0, 5), (2, 1, 5)],
        [(0, 1, 5), (1, 1, 3), (2, 0, 4), (2, 0, 4)],  # user 1 has nothing relevant
        3,
        2,
    )
    recommender = Fixed(np.zeros((3, 2)))

    quality = rank(recommender, split.train, split.test)

    assert recommender.asked == [0, 2]
    assert quality.figures()["n_users_ranked"] == 2
    assert quality.ndcg.tolist() == [1.0, 1.0]  # the repeated test rating counts once
    assert quality.lists[:, 0].tolist() == [1, 0]
    assert (quality.lists[:, 1:] == -1).all()  # nothing else is left to recommend


def test_an_item_rated_in_training_too_can_not_be_asked_for() -> None:
    split = split_of([(0, 0, 5), (1, 1, 2)], [(0, 0, 5), (0, 1, 5), (1, 1, 5)], 2, 2)

    quality = rank(Fixed(np.ones((2, 2))), split.train, split.test)

    assert quality.users.tolist() == [0]  # user 1 has only an item that was seen
    assert quality.recall.tolist() == [1.0]


def test_nothing_relevant_gives_no_figures_rather_than_zeros() -> None:
    split = split_of([(0, 0, 5)], [(0, 1, 1)], 1, 2)

    figures = rank(Fixed([[1, 1]]), split.train, split.test).figures()

    assert figures["n_users_ranked"] == 0
    assert all(math.isnan(figures[f"{name}_at_10"]) for name in ("ndcg", "recall", "map"))


def test_accuracy_warm_and_cold_apart() -> None:
    # user 1 and item 2 occur in test rows only
    split = split_of([(0, 0, 4), (0, 1, 2)], [(0, 1, 3), (1, 0, 5), (0, 2, 1), (1, 2, 4)], 2, 3)
    recommender = Fixed([[0, 4, 3], [2, 0, 4]])  # errors: 1, -3, 2, 0

    figures = evaluate(recommender, split).figures()

    assert figures["n_test"] == 4
    assert figures["n_cold"] == 3
    assert figures["rmse"] == pytest.approx(math.sqrt((1 + 9 + 4 + 0) / 4))
    assert figures["mae"] == pytest.approx((1 + 3 + 2 + 0) / 4)
    assert figures["rmse_warm"] == figures["mae_warm"] == 1.0
    assert figures["rmse_cold"] == pytest.approx(math.sqrt(13 / 3))
    assert figures["mae_cold"] == pytest.approx(5 / 3)


def test_no_prediction_for_cold_pairs_is_no_error_of_the_warm_ones() -> None:
    # as in the test before
    split = split_of([(0, 0, 4), (0, 1, 2)], [(0, 1, 3), (1, 0, 5), (0, 2, 1), (1, 2, 4)], 2, 3)
    silent = Fixed([[0, 4, math.nan], [math.nan, 0, math.nan]])

    figures = evaluate(silent, split).figures()

    assert (figures["n_test"], figures["n_cold"]) == (4, 3)
    assert figures["rmse_warm"] == figures["mae_warm"] == 1.0
    assert all(math.isnan(figures[name]) for name in ("rmse", "mae", "rmse_cold", "mae_cold"))


@pytest.mark.parametrize(("predicted", "warm"), [(np.nan, True), (np.inf, True), (np.inf, False)])
def test_a_diverged_model_is_not_judged(predicted: float, warm: bool) -> None:
    with pytest.raises(ValueError, match="1 predictions are not finite"):
        accuracy(
            np.array([1, predicted], np.float32),
            np.ones(2, np.float32),
            np.array([True, warm]),
            np.zeros(2, np.int32),
        )


@pytest.mark.parametrize(
    ("scale", "share", "rating"),
    [((0.5, 5.0), None, 4.0), ((0, 100), 0.7, 70.0), ((1, 5), 0.75, 4.0), ((-10, 10), 0.5, 0.0)],
)
def test_relevant_rating(scale: tuple[float, float], share: float | None, rating: float) -> None:
    assert relevant_rating(*scale, share) == pytest.approx(rating)


def test_relevant_share_out_of_range() -> None:
    with pytest.raises(InvalidInput, match="from 0 to 1"):
        relevant_rating(0.5, 5, 4.0)


scores = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.sampled_from([-np.inf, np.nan, -2.0, 0.0, 1.0, 1.5]) | st.floats(-9, 9, width=32),
)


@given(scores, st.integers(1, 15))
def test_top_is_a_stable_sort_cut_short(scores: Floats, k: int) -> None:
    for row, chosen in zip(scores, top(scores, k), strict=True):
        candidates = [item for item, score in enumerate(row) if score > -np.inf]
        expected = sorted(candidates, key=lambda item: (-row[item], item))[:k]
        assert chosen.tolist() == expected + [-1] * (k - len(expected))


def reference(split: Split, matrix: np.ndarray, k: int, relevant: float) -> dict[str, float]:
    """The definition, user by user and place by place."""
    n_items = matrix.shape[1]
    seen, wanted = defaultdict(set), defaultdict(set)
    for user, item in zip(split.train.users.tolist(), split.train.items.tolist(), strict=True):
        seen[user].add(item)
    test = split.test
    for user, item, rating in zip(
        test.users.tolist(), test.items.tolist(), test.ratings.tolist(), strict=True
    ):
        if rating >= relevant and item not in seen[user]:
            wanted[user].add(item)
    ndcg, recall, precision, hit, shown = [], [], [], [], set()
    for user in sorted(user for user in wanted if wanted[user]):
        unseen = [item for item in range(n_items) if item not in seen[user]]
        best = sorted(unseen, key=lambda item: (-matrix[user, item], item))[:k]
        gain = hits = average = 0.0
        for place, item in enumerate(best, start=1):
            if item in wanted[user]:
                hits += 1
                gain += 1 / math.log2(place + 1)
                average += hits / place
        top_places = min(k, len(wanted[user]))
        ndcg.append(gain / sum(1 / math.log2(place + 1) for place in range(1, top_places + 1)))
        recall.append(hits / len(wanted[user]))
        precision.append(average / top_places)
        hit.append(float(hits > 0))
        shown |= set(best)
    names = ("ndcg", "recall", "map", "hit_rate")
    figures = {
        f"{name}_at_{k}": sum(values) / len(values) if values else math.nan
        for name, values in zip(names, (ndcg, recall, precision, hit), strict=True)
    }
    return {**figures, f"coverage_at_{k}": len(shown) / n_items if ndcg else math.nan}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_figures_equal_the_definition(data: st.DataObject) -> None:
    n_users, n_items = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 9))
    row = st.tuples(
        st.integers(0, n_users - 1), st.integers(0, n_items - 1), st.sampled_from([1.0, 3.5, 4, 5])
    )
    train = data.draw(st.lists(row, min_size=1, max_size=20))
    test = data.draw(st.lists(row, max_size=20))
    matrix = data.draw(
        hnp.arrays(np.float32, (n_users, n_items), elements=st.sampled_from([0.0, 1.0, 2.0, 3.0]))
    )
    k = data.draw(st.integers(1, 10))
    split = split_of(train, test, n_users, n_items)

    found = rank(Fixed(matrix), split.train, split.test, k=k).figures()

    for name, value in reference(split, matrix, k, 4.0).items():
        assert found[name] == pytest.approx(value, nan_ok=True), name


def test_blocks_of_users_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    split = random_split(generate(60, 50, 700, seed=1))
    recommender = Biases(split.train)
    whole = evaluate(recommender, split)

    monkeypatch.setattr(evaluation, "_BLOCK_SCORES", 50 * 7)  # seven users at a time
    blocks = evaluate(recommender, split)

    assert (blocks.ranking.lists == whole.ranking.lists).all()
    assert blocks.figures() == whole.figures()


def test_popularity_counts_and_biases_by_hand() -> None:
    train = ratings_of([(0, 0, 5), (1, 0, 4), (0, 1, 3)], 3, 3)  # μ = 4
    users, items = np.array([0, 2], np.int32), np.array([0, 2], np.int32)

    popularity = Popularity(train)
    assert popularity.scores(users).tolist() == [[2, 1, 0], [2, 1, 0]]
    assert popularity.predict(users, items).tolist() == [4, 4]

    biases = Biases(train, damping=1)
    # b_0 = (1 + 0) / 3, b_1 = -1 / 2; user 0: ((1 - 1/3) + (-1 + 1/2)) / 3
    user = ((1 - 1 / 3) + (-1 + 1 / 2)) / 3
    assert biases.predict(users, items).tolist() == pytest.approx([4 + 1 / 3 + user, 4])
    assert biases.scores(users)[0].tolist() == pytest.approx(
        [4 + 1 / 3 + user, 3.5 + user, 4 + user]
    )


def test_biases_reach_the_known_noise_when_there_is_no_taste() -> None:
    truth = world(200, 100, seed=1, recipe=Recipe(taste=0.0))
    split = random_split(truth.dataset(5_000), seed=3)
    users = np.array([int(name[1:]) - 1 for name in split.user_ids.to_pylist()])
    items = np.array([int(name[1:]) - 1 for name in split.item_ids.to_pylist()])
    noise = truth.noise_rmse(users[split.test.users], items[split.test.items])

    rmse = evaluate(Biases(split.train), split).figures()["rmse"]

    assert noise < rmse < 1.08 * noise


def test_judging_an_empty_list_of_users() -> None:
    none = np.empty(0, np.int32)

    figures = judge(none, np.empty((0, 3), np.int32), none, none, n_items=5).figures()

    assert math.isnan(figures["coverage_at_3"])
