"""The race: its test against scipy's, whom it takes out, whom it keeps."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats

from recommender.faded_test import faded_t_test
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.race import Judgement, Race, RaceSettings, neighbour
from recommender.rating_head import Codes, Errors
from recommender.rows import Floats


class Drawn:
    """Loses as a plan says: expected loss by micro-batch; what is hard is hard for all."""

    def __init__(self, plan: list[float], seed: int) -> None:
        self.plan, self.random = plan, np.random.default_rng(seed)
        self.place = 0

    def learn(self, users: Codes, items: Codes, ratings: Floats) -> Errors:
        hard = float(ratings.mean())
        own = self.random.normal(0, 0.02)
        loss = max(self.plan[self.place] + hard + own, 0.01)
        self.place += 1
        return Errors(len(ratings), loss * len(ratings), 0.0)


def run(race: Race, batches: int, size: int = 100) -> None:
    random = np.random.default_rng(0)
    codes = np.zeros(size, np.int32)
    for _ in range(batches):
        hard = np.full(size, random.normal(1, 0.3), np.float32)
        race.learn(codes, codes, hard)


def test_without_fading_it_is_the_paired_t_test() -> None:
    random = np.random.default_rng(4)
    one, other = random.normal(1, 0.5, (2, 40))

    found = faded_t_test(one - other, np.full(40, 250.0))

    theirs = scipy.stats.ttest_rel(one, other)
    assert found.statistic == pytest.approx(theirs.statistic)
    assert found.freedom == pytest.approx(theirs.df)


def test_fading_by_hand() -> None:
    found = faded_t_test(np.array([0.0, 3.0]), np.array([1.0, 2.0]))

    # D = 6/3, V = (1·4 + 2·1)/3 = 2, m = 9/5
    assert found.mean == pytest.approx(2)
    assert found.freedom == pytest.approx(0.8)
    assert found.statistic == pytest.approx(2 / np.sqrt(2 / 0.8))


def test_the_worse_are_taken_out_and_the_best_leads() -> None:
    plans = {"good": 0.5, "near": 0.502, "bad": 0.6, "worse": 0.9}
    learners = {name: Drawn([loss] * 200, seed) for seed, (name, loss) in enumerate(plans.items())}
    race = Race(learners, RaceSettings(race_half_life=100_000))

    run(race, 40)

    assert {one.name for one in race.pruned} == {"bad", "worse"}
    assert set(race.running) == {"good", "near"}
    for one in race.pruned:
        assert one.after <= 2_000
        assert one.statistic > one.quantile
        assert one.worse_by > 0


@pytest.mark.parametrize(("contestants", "races"), [(2, 300), (8, 80)])
def test_equals_are_seldom_taken_out(contestants: int, races: int) -> None:
    """However many they are: the leader they are compared with is chosen by the same losses."""
    random = np.random.default_rng(3)
    settings = RaceSettings(race_error=0.1)
    names = [str(number) for number in range(contestants)]
    wrong = 0
    for _ in range(races):
        judgement = Judgement(names, settings)
        hard = random.normal(1, 0.3, (40, 1))
        for losses in hard + random.normal(0, 0.02, (40, contestants)):
            judgement.observe(500, {name: 500 * losses[int(name)] for name in judgement.running})
        wrong += bool(judgement.pruned)
    assert wrong <= 0.1 * races


def test_who_was_best_early_need_not_stay_the_best() -> None:
    sprinter = Drawn([0.5] * 20 + [0.8] * 100, 1)
    stayer = Drawn([0.51] * 20 + [0.4] * 100, 2)
    faded = Race({"sprinter": sprinter, "stayer": stayer}, RaceSettings(race_half_life=1_000))

    run(faded, 18)
    assert faded.loss("sprinter") < faded.loss("stayer")
    assert set(faded.running) == {"sprinter", "stayer"}
    run(faded, 60)

    assert faded.running == ["stayer"]


def test_places_are_taken_by_neighbours_of_the_leader() -> None:
    ids = pa.array([f"x{number}" for number in range(30)])
    good = MemoryModel(ids, ids, ModelSettings(rank=4, ranking_rank=0))
    hopeless = MemoryModel(
        ids, ids, ModelSettings(rank=4, ranking_rank=0, decay=0, learning_rate=2, passes=9)
    )
    settings = RaceSettings(race_width=2, race_spawn=True)
    race = Race({"good": good, "hopeless": hopeless}, settings, neighbour(seed=5))
    random = np.random.default_rng(1)
    bias = random.normal(0, 0.7, 30)
    while not race.pruned:
        users, items = random.integers(0, 30, (2, 100)).astype(np.int32)
        values = 3 + bias[items] + random.normal(0, 0.8, 100)
        race.learn(users, items, np.clip(np.rint(values * 2) / 2, 0.5, 5).astype(np.float32))
        assert race.ratings < 20_000

    assert race.running == ["good", "neighbour 1"]
    newcomer = race.learner("neighbour 1")
    assert isinstance(newcomer, MemoryModel)
    assert newcomer.mean.count == race.ratings  # it starts where the leader is
    assert newcomer.settings.learning_rate != good.settings.learning_rate
    assert newcomer.settings.rank == good.settings.rank
    before = good.item_rows.pack().tobytes()
    newcomer.learn(users, items, np.full(100, 3, np.float32))
    assert good.item_rows.pack().tobytes() == before  # a copy of its own


def test_the_width_bounds_the_race() -> None:
    learners = {str(number): Drawn([1.0], number) for number in range(4)}

    with pytest.raises(ValueError, match="4 contestants; expected 1 to 3"):
        Race(learners, RaceSettings(race_width=3))
