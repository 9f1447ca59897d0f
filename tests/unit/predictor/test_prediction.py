"""Predicted ratings against the formula worked out by hand (tests/fakes/hand_model.py)."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.prediction import predict, predicted_everywhere
from recommender import rating_head
from recommender.rows import Rows


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # 3.5 + 0.5 + b_y + 1 P_y1
        ("alice", {"a": 4.5, "b": 4.75, "c": 3.0}),
        # 3.5 - 0.5 + b_y + 2 P_y2
        ("bob", {"a": 4.25, "b": 0.75, "c": 3.25}),
    ],
)
def test_mean_biases_and_taste_add_up(served, user, name, expected):
    found = predict(served, user(name), list(expected))
    assert {one.item: one.score for one in found} == pytest.approx(expected)
    assert {one.source for one in found} == {"model"}


def test_predictions_are_clipped_to_the_scale(served, user):
    # 3.5 + 2 + 0.25 + 0.25 = 6 and 3.5 - 3 + 0.25 - 0.5 = 0.25
    assert predict(served, user("carl"), ["a"])[0].score == 5.0
    assert predict(served, user("dora"), ["a"])[0].score == 0.5


def test_unknown_users_and_items_are_predicted_from_what_is_known(served, user):
    known, unknown = user("alice"), user("nobody")
    assert predict(served, known, ["nothing"])[0] == ("nothing", 4.0, "user-bias")
    assert predict(served, known, ["d"])[0] == ("d", 4.0, "user-bias")  # not rated yet
    assert predict(served, unknown, ["a"])[0] == ("a", 3.75, "item-bias")
    assert predict(served, unknown, ["nothing"])[0] == ("nothing", 3.5, "mean")


@pytest.mark.parametrize("times", [1, 50])  # one by one, and all together
def test_order_and_repetition_of_the_items_asked_for_are_kept(served, user, times):
    found = predict(served, user("alice"), times * ["c", "nothing", "a", "c"])
    assert [one.item for one in found] == times * ["c", "nothing", "a", "c"]
    assert [one.score for one in found] == pytest.approx(times * [3.0, 4.0, 4.5, 3.0])
    assert [one.source for one in found] == times * ["model", "user-bias", "model", "model"]


def test_many_predictions_are_clipped_to_the_scale(served, user):
    assert {one.score for one in predict(served, user("carl"), 50 * ["a"])} == {5.0}
    assert {one.score for one in predict(served, user("dora"), 50 * ["a"])} == {0.5}
    assert {one.score for one in predict(served, user("dora"), 50 * ["nothing"])} == {0.5}


def test_agrees_with_the_kernel_that_learns(served, user):
    alice = user("alice")
    row = Rows.empty(1, served.form)
    row.bias[0], row.factors[0] = alice.bias, alice.factors
    items = np.arange(3, dtype=np.int32)
    side = Rows.empty(3, served.form)
    side.bias[:], side.factors[:] = served.items.bias[:3], served.items.factors[:3]
    expected = rating_head.predict(np.zeros(3, np.int32), items, served.mean, row, side)
    np.testing.assert_allclose(predicted_everywhere(served, alice)[:3], expected, rtol=1e-6)
