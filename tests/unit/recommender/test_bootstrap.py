"""Intervals: against the known deviation of a mean, and that pairing cancels what users share."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recommender.bootstrap import PerUser, bootstrap, interval


def means(values: np.ndarray) -> PerUser:
    return PerUser(values, np.ones(len(values)))


def test_a_figure_is_the_ratio_of_its_sums() -> None:
    one = PerUser(np.array([4.0, 14.0, 0.0]), np.array([1.0, 1.0, 0.0]), root=True)

    assert one.value == 3.0
    assert math.isnan(PerUser(np.zeros(2), np.zeros(2)).value)
    # The second user twice, the third once, then nobody who has a weight.
    assert one.drawn(np.array([[0.0, 2, 1], [0, 0, 3]])) == pytest.approx(
        [math.sqrt(14), math.nan], nan_ok=True
    )


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)

    drawn = bootstrap({"mean": means(values)}, draws=4_000, seed=2)["mean"]

    found = interval(values.mean(), drawn)
    half = 1.96 * values.std() / math.sqrt(400)
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)


def test_pairing_cancels_what_is_hard_for_both() -> None:
    random = np.random.default_rng(1)
    hard = random.normal(0, 1, 300)
    one, other = hard + 0.1, hard + random.normal(0, 0.05, 300)

    drawn = bootstrap({"one": means(one), "other": means(other)}, draws=500, seed=3)

    difference = interval(one.mean() - other.mean(), drawn["one"] - drawn["other"])
    alone = interval(one.mean(), drawn["one"])
    assert 0.08 < difference.low < difference.high < 0.12
    assert alone.high - alone.low > 10 * (difference.high - difference.low)


def test_a_seed_repeats_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = means(np.arange(50.0))

    first = bootstrap({"a": values}, 40, seed=5)["a"]
    monkeypatch.setattr("recommender.bootstrap._COUNTS_AT_ONCE", 60)

    assert bootstrap({"a": values}, 40, seed=5)["a"].tolist() == first.tolist()
    assert bootstrap({"a": values}, 40, seed=6)["a"].tolist() != first.tolist()
