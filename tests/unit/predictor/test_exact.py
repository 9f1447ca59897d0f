"""The best of a few items, beside the formula over all of them in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.exact import Weighed, best_of, highest_product

N_ITEMS = 60


@pytest.mark.parametrize("ranking_rank", [0, 7])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_those_looked_at(ranking_rank: int, seed: int) -> None:
    drawn = np.random.default_rng(seed)

    def numbers(*shape: int):
        return drawn.standard_normal(shape, np.float32)

    ranking, factors = numbers(N_ITEMS, ranking_rank), numbers(N_ITEMS, 5)
    bias, popularity = numbers(N_ITEMS), numbers(N_ITEMS)
    person = Weighed(numbers(ranking_rank), numbers(5), 0.3, 0.1, 3.5, 2.0)
    among = drawn.choice(40, 15, replace=False)
    excluded = np.array([58, 3, 44, 41])
    refused = np.zeros(N_ITEMS, np.bool_)
    refused[[45, 50]] = True
    scores = (
        0.3 * (ranking.astype(float) @ person.ranking)
        + 0.1 * (3.5 + bias + factors.astype(float) @ person.factors)
        + 2.0 * popularity
    )
    looked_at = [*among.tolist(), *(y for y in range(40, 60) if y not in (41, 44, 45, 50, 58))]
    expected = sorted(looked_at, key=lambda y: -scores[y])[:12]

    positions, found = best_of(
        person, ranking, factors, bias, popularity, among, 40, excluded, refused, 12
    )

    assert positions.tolist() == expected
    np.testing.assert_allclose(found, scores[expected], rtol=1e-4, atol=1e-5)


def test_equals_are_in_the_order_of_their_positions_and_nothing_is_made_up() -> None:
    nobody = Weighed(np.zeros(0, np.float32), np.zeros(0, np.float32), 0.0, 1.0, 0.0, 0.0)
    nothing, zeros = np.zeros((6, 0), np.float32), np.zeros(6, np.float32)
    bias = np.array([1, 2, 1, 2, -np.inf, 1], np.float32)

    def best(n: int) -> list[int]:
        among = np.array([5, 3, 2, 1, 4, 0])
        none = np.zeros(0, np.intp)
        return best_of(nobody, nothing, nothing, bias, zeros, among, 6, none, None, n)[0].tolist()

    assert best(4) == [1, 3, 0, 2]
    assert best(9) == [1, 3, 0, 2, 5]
    assert best(0) == []


def test_the_highest_product_is_of_those_looked_at_and_all_later_ones() -> None:
    vectors = np.array([[9.0], [1.0], [-2.0], [3.0]], np.float32)
    one = np.ones(1, np.float32)
    assert highest_product(vectors, one, np.array([1, 2]), 4) == 1
    assert highest_product(vectors, one, np.array([1, 2]), 3) == 3
    assert highest_product(vectors, one, np.array([2]), 4) == 0
