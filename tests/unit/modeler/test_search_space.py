"""Which settings a search tries."""

from __future__ import annotations

import math

import pytest

from modeler.method_options import given_settings, known
from modeler.search_space import GRIDS, Ranges, grid, parse_values
from recommender.errors import InvalidInput


def test_a_grid_has_every_combination() -> None:
    values = parse_values(["als_rank=10,20", "als_reg_param=0.05,0.1,0.2"])

    found = grid(values)

    assert len(found) == 6
    assert found[0] == {"als_rank": 10, "als_reg_param": 0.05}
    assert found[-1] == {"als_rank": 20, "als_reg_param": 0.2}


def test_random_settings_lie_in_their_ranges() -> None:
    ranges = Ranges(["rank=8:64", "learning_rate=0.01:1:log", "decay=0:1"])

    found = ranges.draw(400, seed=1)

    assert {type(one["rank"]) for one in found} == {int}
    assert (min(one["rank"] for one in found), max(one["rank"] for one in found)) == (8, 64)
    rates = sorted(math.log10(one["learning_rate"]) for one in found)
    assert -2 <= rates[0] < rates[-1] <= 0
    assert rates[200] == pytest.approx(-1, abs=0.15)  # half of them below 0.1
    assert sum(one["decay"] < 0.5 for one in found) == pytest.approx(200, abs=50)


def test_more_draws_go_on_from_the_same_ones() -> None:
    ranges = Ranges(["decay=0:1"])

    assert ranges.draw(10, seed=3)[:4] == ranges.draw(4, seed=3)
    assert ranges.draw(4, seed=3) != ranges.draw(4, seed=4)


@pytest.mark.parametrize(
    "text", ["rank", "rank=", "rank=8:", "rank=64:8", "rank=0:8:log", "rank=1:2:3", "colour=1:2"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Ranges([text])


@pytest.mark.parametrize("text", ["rank", "rank=eight", "colour=1,2"])
def test_what_is_no_list_of_values_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_values([text])


@pytest.mark.parametrize("method", list(GRIDS))
def test_every_prepared_grid_is_of_allowed_settings(method: object) -> None:
    for settings in grid(GRIDS[method]):  # type: ignore[index]
        for name, value in settings.items():
            assert getattr(given_settings(known()[name], {name: value}), name) == value
