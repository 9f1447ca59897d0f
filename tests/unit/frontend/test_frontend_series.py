import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.answers import Measurement
from frontend.series import Recent, line, ratings_per_second, recent

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
    (point,) = line([batch(1, 100, 1.0), batch(2, 300, 2.0)], least=400)
    assert point.total_ratings == 2000
    assert point.rmse == pytest.approx(math.sqrt(3.25))
    assert point.smoothed == pytest.approx(math.sqrt(3.25))


def test_the_smoothed_line_weighs_by_age_in_ratings() -> None:
    # weights of the older and the newer batch with a window of 100: e^-1 (1 - e^-1) and (1 - e^-1)
    _, last = line([batch(1, 100, 1.0), batch(2, 100, 3.0)], window=100, least=100)
    older = math.exp(-1)
    assert last.rmse == pytest.approx(3.0)
    assert last.smoothed == pytest.approx(math.sqrt((older * 1 + 9) / (older + 1)))


def test_what_was_not_measured_is_left_out() -> None:
    assert line([]) == []
    assert line([batch(1, 0, None), batch(2, 10, None)]) == []
    assert [p.total_ratings for p in line([batch(1, 0, None), batch(2, 10, 1.0)])] == [
        2000
    ]  # few, but all


def test_micro_batches_of_a_few_ratings_make_no_spikes() -> None:
    # 250 ratings, then three of one rating: they join the stretch before, (250 + 3 * 16) / 253
    series = [batch(1, 250, 1.0), *(batch(n, 1, 4.0) for n in (2, 3, 4))]
    (point,) = line(series, least=250)
    assert point.total_ratings == 4000
    assert point.rmse == pytest.approx(math.sqrt(298 / 253))


def test_places_stay_while_the_stream_goes_on() -> None:
    series = [batch(n, 100, 1.0 + n / 100) for n in range(1, 41)]
    shorter = line(series[:30], points=10, least=100)  # 3,000 ratings: stretches of 400
    longer = line(series, points=10, least=100)  # 4,000 ratings: still of 400
    assert [p.total_ratings for p in longer] == [4000 * n for n in range(1, 11)]
    assert shorter[:6] == longer[:6]


def test_recent_is_over_the_latest_ratings_together() -> None:
    # the latest two reach 300 ratings: squared (100 * 1 + 200 * 4) / 300, absolute (50 + 300) / 300
    series = [
        batch(1, 500, 9.0),
        batch(2, 200, 2.0).model_copy(update={"mae": 1.5}),
        batch(3, 100, 1.0).model_copy(update={"mae": 0.5}),
        batch(4, 0, None),
    ]
    found = recent(series, window=300)
    assert found == Recent(300, pytest.approx(math.sqrt(3)), pytest.approx(350 / 300))
    assert recent([]) is None


@given(
    errors=st.lists(st.floats(0, 5), max_size=700),
    points=st.integers(1, 50),
)
def test_bounded_and_in_order(errors: list[float], points: int) -> None:
    drawn = line([batch(n, 10, e) for n, e in enumerate(errors, 1)], points=points, least=7)
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
