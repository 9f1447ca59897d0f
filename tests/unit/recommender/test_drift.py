"""Drift: the sum of Page and Hinkley against river's, and tastes that change halfway."""

from __future__ import annotations

import numpy as np
import pytest
from river.drift import PageHinkley

from recommender.drift import LARGEST, DriftSettings, DriftTest
from recommender.generate import Recipe, world
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings


def first_drift(losses: np.ndarray, settings: DriftSettings | None = None) -> int | None:
    test = DriftTest(settings or DriftSettings())
    return next((place for place, loss in enumerate(losses) if test.observe(loss)), None)


@pytest.mark.parametrize("level", [0.8, 1.5, 3.0])
def test_it_is_noticed_where_river_notices_it(level: float) -> None:
    """River's test on the same standardised losses: its own running mean is made to stay at 0."""
    random = np.random.default_rng(int(level * 10))
    losses = np.concatenate([random.normal(5, 2, 300), random.normal(5 + 2 * level, 2, 300)])
    settings = DriftSettings(drift_threshold=15, drift_tolerance=0.3, drift_warm_up=30)
    found = first_drift(losses, settings)
    assert found is not None

    # Standardised anew with numpy, from what came before, outliers cut as documented.
    taken, surprises = list(losses[:30]), []
    for loss in losses[30 : found + 1]:
        mean, deviation = np.mean(taken), np.std(taken, ddof=1)
        surprise = float(np.clip((loss - mean) / deviation, -LARGEST, LARGEST))
        surprises.append(surprise)
        taken.append(mean + surprise * deviation)
    theirs = PageHinkley(min_instances=1, delta=0.3, threshold=15, alpha=1.0, mode="up")
    noticed = None
    for place, surprise in enumerate(surprises):
        theirs._x_mean.n, theirs._x_mean._mean = 10**12, 0.0  # the usual is 0 by construction
        theirs.update(surprise)
        if theirs.drift_detected:
            noticed = place + 30
            break

    assert found == noticed
    assert found >= 300


def test_a_quiet_stream_is_left_alone() -> None:
    alarms = sum(
        first_drift(np.random.default_rng(seed).normal(1, 0.2, 2_000)) is not None
        for seed in range(40)
    )

    assert alarms <= 1


def test_one_bad_micro_batch_is_no_drift() -> None:
    losses = np.random.default_rng(1).normal(1, 0.1, 200)
    losses[100:103] = 50.0

    assert first_drift(losses) is None


def test_after_a_drift_the_new_level_is_the_usual_one() -> None:
    random = np.random.default_rng(2)
    losses = np.concatenate([random.normal(1, 0.1, 100), random.normal(2, 0.1, 400)])
    test = DriftTest(DriftSettings())

    found = [(place, drift) for place, loss in enumerate(losses) if (drift := test.observe(loss))]

    ((place, drift),) = found
    assert 100 <= place <= 110
    assert drift.usual == pytest.approx(1, abs=0.15)
    assert drift.loss == pytest.approx(2, abs=0.5)
    assert drift.after == place + 1


def test_a_loss_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="nan"):
        DriftTest(DriftSettings()).observe(float("nan"))


def test_tastes_that_change_halfway_are_noticed_by_the_models_own_loss() -> None:
    before, after = (world(300, 150, seed, Recipe(taste=1.0)) for seed in (1, 2))
    model = MemoryModel(before.user_ids(), before.item_ids(), ModelSettings(rank=8, ranking_rank=0))
    test = DriftTest(DriftSettings())
    random = np.random.default_rng(3)
    noticed = []
    for batch in range(160):
        users, items, ratings = (before if batch < 100 else after).draw(300, random)
        errors = model.learn(users, items, ratings)
        if test.observe(errors.squared / errors.ratings):
            noticed.append(batch)

    assert noticed
    assert 100 <= noticed[0] <= 115
