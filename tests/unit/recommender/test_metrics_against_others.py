"""Ranking figures against NIST's trec_eval and scikit-learn, errors against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import pytrec_eval
from sklearn.metrics import mean_absolute_error, ndcg_score, root_mean_squared_error

from recommender.baselines import Biases
from recommender.datasets import IndexedRatings
from recommender.evaluation import evaluate
from recommender.generate import generate
from recommender.item_knn import Similarity, item_knn, item_vectors
from recommender.rating_head import Codes
from recommender.rows import Floats
from recommender.splits import Split, random_split

K = 10


class Untied(Biases):
    """Biases, with scores that are never equal: the others order ties in ways of their own."""

    def scores(self, users: Codes) -> Floats:
        scores = super().scores(users)
        apart = np.random.default_rng(1).permutation(scores.shape[1]).astype(np.float32)
        return scores.round(3) + apart * np.float32(1e-5)


@pytest.fixture(scope="module")
def split() -> Split:
    return random_split(generate(150, 100, 3_000, seed=3), 0.8, seed=1)


@pytest.fixture(scope="module")
def truth(split: Split) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """What is relevant and what is scored, in trec_eval's form; seen items have no score."""
    scores = Untied(split.train).scores(np.arange(len(split.user_ids), dtype=np.int32))
    train = set(zip(split.train.users.tolist(), split.train.items.tolist(), strict=True))
    relevant: dict[str, dict[str, int]] = {}
    test = split.test
    for user, item, rating in zip(
        test.users.tolist(), test.items.tolist(), test.ratings.tolist(), strict=True
    ):
        if rating >= 4 and (user, item) not in train:
            relevant.setdefault(str(user), {})[str(item)] = 1
    run = {
        user: {
            str(item): float(score)
            for item, score in enumerate(scores[int(user)])
            if (int(user), item) not in train
        }
        for user in relevant
    }
    return relevant, run


def test_ranking_figures_are_those_of_trec_eval(
    split: Split, truth: tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]
) -> None:
    relevant, run = truth
    measures = {f"ndcg_cut.{K}", f"recall.{K}", f"map_cut.{K}", f"success.{K}"}
    found = pytrec_eval.RelevanceEvaluator(relevant, measures).evaluate(run)

    ours = evaluate(Untied(split.train), split, k=K).figures()

    def mean(name: str) -> float:
        return float(np.mean([one[f"{name}_{K}"] for one in found.values()]))

    assert ours["n_users_ranked"] == len(relevant) > 50
    assert ours["ndcg_at_10"] == pytest.approx(mean("ndcg_cut"), abs=1e-9)
    assert ours["recall_at_10"] == pytest.approx(mean("recall"), abs=1e-9)
    assert ours["hit_rate_at_10"] == pytest.approx(mean("success"), abs=1e-9)
    # trec_eval divides by all relevant items, we by those that a list of k has room for.
    maps = [
        one[f"map_cut_{K}"] * len(relevant[user]) / min(K, len(relevant[user]))
        for user, one in found.items()
    ]
    assert ours["map_at_10"] == pytest.approx(np.mean(maps), abs=1e-9)


def test_ndcg_is_that_of_scikit_learn(
    split: Split, truth: tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]
) -> None:
    relevant, run = truth
    n_items = len(split.item_ids)
    values = []
    for user, wanted in relevant.items():
        # Seen items last: far below every score.
        scores = np.full(n_items, -1e9)
        for item, score in run[user].items():
            scores[int(item)] = score
        gains = np.isin(np.arange(n_items), [int(item) for item in wanted]).astype(float)
        values.append(ndcg_score(gains[None], scores[None], k=K, ignore_ties=True))

    assert evaluate(Untied(split.train), split, k=K).figures()["ndcg_at_10"] == pytest.approx(
        np.mean(values), abs=1e-9
    )


def test_errors_are_those_of_scikit_learn(split: Split) -> None:
    model = Biases(split.train)
    predicted = model.predict(split.test.users, split.test.items)

    ours = evaluate(model, split).figures()

    assert ours["rmse"] == pytest.approx(root_mean_squared_error(split.test.ratings, predicted))
    assert ours["mae"] == pytest.approx(mean_absolute_error(split.test.ratings, predicted))


def test_cosine_neighbours_are_those_of_scikit_learn(split: Split) -> None:
    from sklearn.neighbors import NearestNeighbors

    from recommender.interactions import weighted

    vectors = weighted(split.train).T.toarray()
    rated = np.flatnonzero(vectors.any(axis=1))
    theirs = NearestNeighbors(n_neighbors=6, metric="cosine").fit(vectors[rated])
    distances, places = theirs.kneighbors(vectors[rated])

    state = item_knn(split.train, Similarity.cosine, 5).state()
    for row, item in enumerate(rated.tolist()):
        begin, end = state["indptr"][item : item + 2]
        ours = np.sort(state["data"][begin:end])[::-1]
        others = [
            1 - distance
            for distance, place in zip(distances[row], places[row], strict=True)
            if rated[place] != item
        ]
        expected = np.sort(others)[::-1][: len(ours)]
        assert ours == pytest.approx(expected, abs=1e-5)


def test_bm25_by_the_formula() -> None:
    # Item 0 is rated by both users, item 1 by the second only; all ratings weigh 1.
    train = IndexedRatings(
        np.array([0, 1, 1], np.int32),
        np.array([0, 0, 1], np.int32),
        np.array([5, 5, 5], np.float32),
        np.arange(3.0),
        pa.array(["a", "b"]),
        pa.array(["x", "y"]),
    )

    vectors = item_vectors(train, Similarity.bm25).toarray()

    idf = {0: math.log(2) - math.log(2), 1: 0.0}  # log N - log(1 + n_x), never below 0
    weight = 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 1.5))
    assert vectors[0, 0] == pytest.approx(weight * idf[0])
    assert vectors[1, 1] == pytest.approx(0.0)
