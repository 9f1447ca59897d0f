import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.answers import Measurement
from frontend.series import line, ratings_per_second

START = datetime(2026, 1, 1, tzinfo=UTC)


def batch(n: int, ratings: int, rmse: float | None, seconds: float = 0.0) -> Measurement:
    return Measurement(
        batch=n,
        at=START + timedelta(seconds=seconds),
        ratings=ratings,
        total_ratings=1000 * n,
        rmse=rmse,
    )


def test_a_stretch_has_the_rmse_of_its_ratings_together() -> None:
    # 100 ratings of squared error 1 and 300 of 4: mean (100 + 1200) / 400 = 3.25
    (point,) = line([batch(1, 100, 1.0), batch(2, 300, 2.0)], points=1)
    assert point.total_ratings == 2000
    assert point.rmse == pytest.approx(math.sqrt(3.25))
    assert point.smoothed == pytest.approx(math.sqrt(3.25))


def test_the_smoothed_line_weighs_by_age_in_ratings() -> None:
    # weights of the older and the newer batch with a window of 100: e^-1 (1 - e^-1) and (1 - e^-1)
    _, last = line([batch(1, 100, 1.0), batch(2, 100, 3.0)], window=100)
    older = math.exp(-1)
    assert last.rmse == pytest.approx(3.0)
    assert last.smoothed == pytest.approx(math.sqrt((older * 1 + 9) / (older + 1)))


def test_what_was_not_measured_is_left_out() -> None:
    assert line([]) == []
    assert line([batch(1, 0, None), batch(2, 10, None)]) == []
    assert [p.total_ratings for p in line([batch(1, 0, None), batch(2, 10, 1.0)])] == [2000]


@given(
    errors=st.lists(st.floats(0, 5), max_size=700),
    points=st.integers(1, 50),
)
def test_bounded_and_in_order(errors: list[float], points: int) -> None:
    drawn = line([batch(n, 10, e) for n, e in enumerate(errors, 1)], points=points)
    assert len(drawn) <= points
    totals = [p.total_ratings for p in drawn]
    assert totals == sorted(set(totals))
    if errors:
        assert totals[-1] == 1000 * len(errors)
        tiny = 1e-9
        assert all(min(errors) - tiny <= p.smoothed <= max(errors) + tiny for p in drawn)


@pytest.mark.parametrize(
    ("readings", "rate"),
    [
        ([], 0),
        ([(5.0, 100)], 0),
        ([(5.0, 100), (5.0, 200)], 0),
        ([(5.0, 100), (7.0, 100), (9.0, 500)], 100),
        ([(5.0, 10_000), (7.0, 20)], 0),  # another model
    ],
)
def test_rate(readings: list[tuple[float, int]], rate: float) -> None:
    assert ratings_per_second(readings) == rate
