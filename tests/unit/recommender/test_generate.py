"""Generated ratings: reproducible, and as the documented formula says."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from recommender.errors import InvalidInput
from recommender.generate import GENRES, Recipe, generate, world


def test_the_seed_decides_everything() -> None:
    one, same, other = (generate(200, 100, 2_000, seed) for seed in (1, 1, 2))

    assert one.users.to_pylist() == same.users.to_pylist()
    assert one.items.to_pylist() == same.items.to_pylist()
    assert (one.ratings == same.ratings).all()
    assert (one.timestamps == same.timestamps).all()
    assert one.catalogue == same.catalogue
    assert one.users.to_pylist() != other.users.to_pylist()


def test_shape_of_the_data() -> None:
    data = generate(300, 150, 5_000, seed=3)

    assert len(data) == 5_000
    assert len(set(zip(data.users.to_pylist(), data.items.to_pylist(), strict=True))) == 5_000
    assert set(np.unique(data.ratings)) <= {k / 2 for k in range(1, 11)}
    assert (np.diff(data.timestamps) >= 0).all()
    assert len(data.catalogue) == 150
    assert len({entry["title"] for entry in data.catalogue}) == 150
    for entry in data.catalogue:
        assert set(entry["attributes"]["genres"]) <= set(GENRES)
        assert f"({entry['attributes']['year']})" in entry["title"]


@pytest.mark.parametrize("numbers", [(0, 10, 1), (10, 0, 1), (10, 10, 26), (10, 10, 0)])
def test_impossible_sizes_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidInput):
        generate(*numbers, seed=1)


def test_a_crowded_matrix_can_be_filled_to_its_limit() -> None:
    data = generate(100, 100, 2_500, seed=1)

    assert len(set(zip(data.users.to_pylist(), data.items.to_pylist(), strict=True))) == 2_500


def test_the_truth_has_the_stated_spread() -> None:
    recipe = Recipe(rank=6, user_bias=0.3, item_bias=0.6, taste=0.8)
    truth = world(4_000, 3_000, seed=5, recipe=recipe)
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 4_000, 200_000), rng.integers(0, 3_000, 200_000)

    taste = np.einsum("ij,ij->i", truth.user_factors[users], truth.item_factors[items])

    assert truth.user_bias.std() == pytest.approx(0.3, rel=0.05)
    assert truth.item_bias.std() == pytest.approx(0.6, rel=0.05)
    # genres are few, so the factors' spread varies from seed to seed
    assert taste.std() == pytest.approx(0.8, rel=0.15)
    expected = 3.5 + truth.user_bias[users] + truth.item_bias[items] + taste
    assert np.allclose(truth.latent(users, items), expected, atol=1e-5)


def test_the_known_noise_is_the_error_of_the_best_prediction() -> None:
    truth = world(500, 300, seed=7)
    users, items, ratings = truth.draw(200_000, np.random.default_rng(1))

    errors = truth.expected(users, items) - ratings

    # The standard error of this RMSE over 200,000 ratings is about 0.001.
    assert math.sqrt(np.mean(errors**2)) == pytest.approx(truth.noise_rmse(users, items), abs=0.005)
    assert abs(errors.mean()) < 0.01


def test_expected_rating_and_noise_by_simulation_at_the_edge_of_the_scale() -> None:
    truth = world(1, 1, seed=1, recipe=Recipe(user_bias=0, item_bias=0, taste=0, mean=4.8, noise=1))
    zero = np.zeros(1, np.int32)
    noise = np.random.default_rng(2).standard_normal(400_000)

    simulated = np.clip(np.round((4.8 + noise) * 2) / 2, 0.5, 5.0)

    assert truth.expected(zero, zero)[0] == pytest.approx(simulated.mean(), abs=0.01)
    assert truth.noise_rmse(zero, zero) == pytest.approx(simulated.std(), abs=0.01)


def test_without_noise_only_rounding_is_left() -> None:
    truth = world(50, 40, seed=2, recipe=Recipe(noise=0))
    users, items, ratings = truth.draw(5_000, np.random.default_rng(1))

    inside = (truth.latent(users, items) > 0.5) & (truth.latent(users, items) < 5)

    assert (np.abs(truth.latent(users, items) - ratings)[inside] <= 0.2501).all()
    assert truth.noise_rmse(users, items) < 0.05


def test_popularity_follows_zipf() -> None:
    recipe = Recipe(popularity_offset=0, choosiness=0)
    truth = world(100, 1_000, seed=3, recipe=recipe)
    _, items, _ = truth.draw(300_000, np.random.default_rng(1))

    counts = np.sort(np.bincount(items, minlength=1_000))[::-1]

    harmonic = sum(1 / k for k in range(1, 1_001))
    assert counts[0] / 300_000 == pytest.approx(1 / harmonic, rel=0.03)
    assert counts[9] / counts[0] == pytest.approx(1 / 10, rel=0.1)


def test_users_meet_what_they_like() -> None:
    truth = world(300, 300, seed=4, recipe=Recipe(choosiness=4))
    indifferent = dataclasses.replace(truth, recipe=Recipe(choosiness=0))
    means = []
    for one in (truth, indifferent):
        users, items, _ = one.draw(50_000, np.random.default_rng(1))
        taste = np.einsum("ij,ij->i", one.user_factors[users], one.item_factors[items])
        means.append(taste.mean())

    assert means[0] > means[1] + 0.1


def test_chunks_are_one_ordered_stream() -> None:
    truth = world(1_000, 200, seed=6)

    chunks = list(truth.chunks(2_500, chunk=1_000))

    assert [len(chunk) for chunk in chunks] == [1_000, 1_000, 500]
    times = np.concatenate([chunk.timestamps for chunk in chunks])
    assert (np.diff(times) >= 0).all()
    assert [len(chunk.catalogue) for chunk in chunks] == [200, 0, 0]
    again = list(truth.chunks(2_500, chunk=1_000))
    assert chunks[1].users.to_pylist() == again[1].users.to_pylist()
    assert chunks[0].users.to_pylist() != chunks[1].users.to_pylist()
