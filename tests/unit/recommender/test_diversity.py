"""Maximal marginal relevance against the definition, item by item."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.diversity import maximal_marginal_relevance


def by_definition(relevance: np.ndarray, vectors: np.ndarray, n: int, d: float) -> list[int]:
    span = np.ptp(relevance)
    worth = (relevance - relevance.min()) / span if span else np.ones(len(relevance))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    chosen = [int(np.argmax(worth))]
    while len(chosen) < min(n, len(relevance)):
        best, found = -np.inf, -1
        for candidate in range(len(relevance)):
            if candidate not in chosen:
                alike = max(float(units[candidate] @ units[one]) for one in chosen)
                value = (1 - d) * worth[candidate] - d * alike
                if value > best + 1e-6:
                    best, found = value, candidate
        chosen.append(found)
    return chosen


@given(seed=st.integers(0, 200), n=st.integers(1, 12), d=st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_each_choice_is_the_best_by_definition(seed: int, n: int, d: float) -> None:
    random = np.random.default_rng(seed)
    relevance = random.normal(size=9).astype(np.float32)
    vectors = random.normal(size=(9, 3)).astype(np.float32)
    found = maximal_marginal_relevance(relevance, vectors, n, d).tolist()
    assert found == by_definition(relevance.astype(float), vectors.astype(float), n, d)


def test_without_diversity_the_order_is_that_of_the_scores() -> None:
    relevance = np.array([1, 5, 3], np.float32)
    vectors = np.ones((3, 2), np.float32)
    assert maximal_marginal_relevance(relevance, vectors, 5, 0.0).tolist() == [1, 2, 0]


@pytest.mark.parametrize("n", [0, 3])
def test_nothing_to_choose_from(n: int) -> None:
    empty = np.zeros((0, 2), np.float32)
    assert maximal_marginal_relevance(np.zeros(0, np.float32), empty, n, 0.5).tolist() == []
