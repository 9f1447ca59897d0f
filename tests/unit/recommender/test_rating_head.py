"""The rating head against its formula, worked out one step at a time in plain Python."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender import rating_head
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.rating_head import Mean, Step
from recommender.rows import RowFormat, Rows

STEP = Step(
    learning_rate=0.1,
    bias_learning_rate=0.05,
    regularization=0.02,
    decay=0.5,
    low=0.5,
    high=5.0,
)


def rows(biases: list[float], factors: list[list[float]]) -> Rows:
    made = Rows.empty(len(biases), RowFormat(rank=len(factors[0]), ranking_rank=0))
    made.bias[:] = biases
    made.factors[:] = factors
    return made


def codes(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_one_step_by_hand() -> None:
    users, items = rows([0.1], [[1.0, 0.5]]), rows([-0.2], [[0.5, 1.0]])
    errors = rating_head.learn(
        codes(0), codes(0), np.float32([4.0]), np.array([3.0]), users, items, STEP
    )
    # r̂ = 3 + 0.1 - 0.2 + (1·0.5 + 0.5·1) = 3.9, so e = 0.1; no counts yet, so no shrinking
    assert errors.squared == pytest.approx(0.01, abs=1e-6)
    assert errors.absolute == pytest.approx(0.1, abs=1e-6)
    assert users.bias[0] == pytest.approx(0.1 + 0.05 * (0.1 - 0.02 * 0.1), abs=1e-6)
    assert items.bias[0] == pytest.approx(-0.2 + 0.05 * (0.1 + 0.02 * 0.2), abs=1e-6)
    # U += 0.1 (0.1 P - 0.02 U), P from the old U
    np.testing.assert_allclose(users.factors[0], [1.003, 0.509], atol=1e-6)
    np.testing.assert_allclose(items.factors[0], [0.509, 1.003], atol=1e-6)
    assert users.n[0] == items.n[0] == 1


def test_a_row_steps_less_the_more_ratings_it_has_seen() -> None:
    users, items = rows([0.0], [[0.0]]), rows([0.0], [[0.0]])
    users.n[0] = 3  # 1/√(1+3) = 1/2
    rating_head.learn(codes(0), codes(0), np.float32([4.0]), np.array([3.0]), users, items, STEP)
    assert users.bias[0] == pytest.approx(0.05 / 2, abs=1e-7)
    assert items.bias[0] == pytest.approx(0.05, abs=1e-7)


def test_counts_beyond_the_table_shrink_by_the_same_formula() -> None:
    users, items = rows([0.0], [[0.0]]), rows([0.0], [[0.0]])
    users.n[0] = 9999
    rating_head.learn(codes(0), codes(0), np.float32([4.0]), np.array([3.0]), users, items, STEP)
    assert users.bias[0] == pytest.approx(0.05 / 100, rel=1e-4)


def test_predictions_are_clipped_for_measuring_and_errors_bounded_for_learning() -> None:
    users, items = rows([100.0], [[0.0]]), rows([0.0], [[0.0]])
    errors = rating_head.learn(
        codes(0), codes(0), np.float32([5.0]), np.array([3.0]), users, items, STEP
    )
    assert errors.squared == 0.0
    assert users.bias[0] == pytest.approx(100 + 0.05 * (-4.5 - 0.02 * 100), abs=1e-4)


def test_warm_are_the_ratings_whose_user_and_item_were_rated_before() -> None:
    users, items = rows([0.0] * 2, [[0.0]] * 2), rows([0.0] * 2, [[0.0]] * 2)
    errors = rating_head.learn(
        codes(0, 0, 1, 1),
        codes(0, 1, 0, 1),  # only the last has both known
        np.float32([3.0] * 4),
        np.array([3.0] * 4),
        users,
        items,
        STEP,
    )
    assert (errors.ratings, errors.warm_ratings) == (4, 1)


def test_going_over_ratings_again_counts_nothing() -> None:
    users, items = rows([0.0], [[0.1]]), rows([0.0], [[0.1]])
    rating_head.relearn(codes(0), codes(0), np.float32([4.0]), 3.0, users, items, STEP)
    assert users.n[0] == 0
    assert users.bias[0] > 0


def reference(ratings: list[tuple[int, int, float]], settings: ModelSettings) -> dict[str, list]:
    """Biases alone (rank 1 of zeros stays zero), in plain Python."""
    user, item, n_user, n_item = {}, {}, {}, {}
    total, count, squared = 0.0, 0, 0.0
    for x, y, r in ratings:
        mean = (total + 2.75) / (count + 1)
        b, c = user.get(x, 0.0), item.get(y, 0.0)
        error = min(max(r - (mean + b + c), -4.5), 4.5)
        squared += (r - min(max(mean + b + c, 0.5), 5.0)) ** 2
        g = settings.bias_learning_rate
        user[x] = b + g / (1 + n_user.get(x, 0)) ** 0.5 * (error - settings.regularization * b)
        item[y] = c + g / (1 + n_item.get(y, 0)) ** 0.5 * (error - settings.regularization * c)
        n_user[x], n_item[y] = n_user.get(x, 0) + 1, n_item.get(y, 0) + 1
        total, count = total + r, count + 1
    return {"user": user, "item": item, "squared": squared}


some_ratings = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from([0.5, 2.0, 3.5, 5.0])),
    min_size=1,
    max_size=60,
)


def model(**settings: object) -> MemoryModel:
    ids = pa.array([str(one) for one in range(5)])
    return MemoryModel(ids, ids, ModelSettings(rank=4, ranking_rank=0, **settings))


def learn(learner: MemoryModel, ratings: list[tuple[int, int, float]]) -> rating_head.Errors:
    users, items, values = zip(*ratings, strict=True)
    return learner.learn(
        np.array(users, np.int32), np.array(items, np.int32), np.array(values, np.float32)
    )


@given(some_ratings)
def test_biases_follow_the_formula(ratings: list[tuple[int, int, float]]) -> None:
    learner = model(initial_scale=0.0, passes=1)
    expected = reference(ratings, learner.settings)
    errors = learn(learner, ratings)
    assert errors.squared == pytest.approx(expected["squared"], rel=1e-3, abs=1e-4)
    for x, bias in expected["user"].items():
        assert learner.user_rows.bias[x] == pytest.approx(bias, rel=1e-3, abs=1e-4)
    for y, bias in expected["item"].items():
        assert learner.item_rows.bias[y] == pytest.approx(bias, rel=1e-3, abs=1e-4)


@given(some_ratings, st.integers(1, 20))
def test_one_by_one_or_in_batches_is_the_same_to_the_bit(
    ratings: list[tuple[int, int, float]], size: int
) -> None:
    whole, parts = model(passes=1, replay=0), model(passes=1, replay=0)
    errors = learn(whole, ratings)
    summed = rating_head.Errors()
    for start in range(0, len(ratings), size):
        summed = summed + learn(parts, ratings[start : start + size])
    assert whole.user_rows.pack().tobytes() == parts.user_rows.pack().tobytes()
    assert whole.item_rows.pack().tobytes() == parts.item_rows.pack().tobytes()
    assert whole.mean == parts.mean
    assert summed.squared == pytest.approx(errors.squared)


@given(some_ratings, st.floats(0.1, 50))
def test_another_scale_gives_the_same_model_in_other_units(
    ratings: list[tuple[int, int, float]], width: float
) -> None:
    plain = model()
    wide = model(rating_min=0.5 * width, rating_max=5.0 * width)
    errors = learn(plain, ratings)
    scaled = learn(wide, [(x, y, r * width) for x, y, r in ratings])
    assert scaled.rmse == pytest.approx(errors.rmse * width, rel=1e-2, abs=1e-3 * width)


def test_mean_counts_half_the_scale_as_one_rating() -> None:
    mean = Mean(middle=2.75)
    before = mean.before_each(np.float32([5.0, 4.0]))
    np.testing.assert_allclose(before, [2.75, (5 + 2.75) / 2])
    assert mean.value == pytest.approx((9 + 2.75) / 3)


def test_no_rating_makes_a_model_diverge() -> None:
    learner = model(learning_rate=2.0, bias_learning_rate=2.0, decay=0.0, regularization=0.0)
    random = np.random.default_rng(1)
    for _ in range(50):
        learner.learn(
            random.integers(0, 5, 500).astype(np.int32),
            random.integers(0, 5, 500).astype(np.int32),
            random.choice(np.float32([0.5, 5.0]), 500),
        )
    predicted = learner.predict(codes(*range(5)), codes(*range(5)))
    assert np.isfinite(predicted).all()
