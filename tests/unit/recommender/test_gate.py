"""The publish gate: beside scipy's paired test, on losses of known answer, and how it errs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from recommender.gate import Losses, judge
from recommender.gate_settings import GateSettings

SETTINGS = GateSettings(gate_margin=0.01, gate_ratings=1000, gate_error=0.05)


def losses(worse_by: float, micro_batches: int = 400, seed: int = 0, each: int = 50) -> Losses:
    """Two models on the same ratings; how hard they are is far from the same in all batches."""
    random = np.random.default_rng(seed)
    hard = random.gamma(8, 0.1, micro_batches) * each
    own = random.normal(0, 0.02, micro_batches) * each
    return Losses(np.full(micro_batches, each), hard + own + worse_by * each, hard)


@pytest.mark.parametrize(
    ("worse_by", "state"), [(-0.02, "passed"), (0.0, "passed"), (0.05, "failed")]
)
def test_known_answers(worse_by: float, state: str) -> None:
    assert judge(losses(worse_by), SETTINGS).state == state


def test_on_the_margin_itself_it_waits() -> None:
    found = losses(0)
    margin = float(found.serving.sum()) / found.total * (1.01**2 - 1)
    assert judge(losses(margin), SETTINGS).state == "waiting"
    assert judge(losses(margin), SETTINGS).reason.startswith("not yet certain: RMSE 0.")


def test_the_first_look_is_the_paired_t_test_of_scipy() -> None:
    """Equal micro-batches, one look of level α/2: passed where scipy's bound is below Δ."""
    seen = losses(0.0, 20)
    d = (seen.candidate - seen.serving) / 50
    level = SETTINGS.gate_error / 2
    bound = scipy.stats.ttest_1samp(d, 0.0, alternative="less").confidence_interval(1 - level).high
    serving = seen.serving.sum() / 1000
    for margin, state in ((-1e-6, "waiting"), (1e-6, "passed")):
        wanted = math.sqrt(1 + (bound + margin) / serving) - 1
        settings = SETTINGS.model_copy(update={"gate_margin": wanted})
        assert judge(seen, settings).state == state


def test_too_few_ratings_or_micro_batches_wait() -> None:
    assert judge(losses(0, 19), SETTINGS).reason == "tested on 950 of at least 1,000 ratings"
    few = judge(losses(0, 4, each=5000), SETTINGS)
    assert few.state == "waiting"
    assert few.reason.endswith("and on 4 of 5 micro-batches")
    none = Losses(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    assert judge(none, SETTINGS).state == "waiting"


def test_between_looks_the_verdict_stands() -> None:
    """Looks at 1,000 and 1,250 ratings; what comes in between changes nothing yet."""
    seen = losses(0.0)
    assert judge(seen.first(24), SETTINGS) == judge(seen.first(20), SETTINGS)
    assert judge(seen.first(25), SETTINGS) != judge(seen.first(20), SETTINGS)


def test_asked_again_and_again_it_rarely_lets_one_pass_that_is_worse_than_the_margin() -> None:
    passed = 0
    for seed in range(200):
        found = losses(0, 200, seed)
        over = float(found.serving.sum()) / found.total * (1.01**2 - 1)
        found = losses(over * 1.02, 200, seed)
        passed += any(
            judge(found.first(length), SETTINGS).state == "passed" for length in range(20, 201, 5)
        )
    # At most 5 % of 200; 18 would be more than three deviations above that.
    assert passed <= 18


def test_models_that_do_not_differ_at_all_pass() -> None:
    same = np.full(30, 20.0)
    assert judge(Losses(np.full(30, 50), same, same), SETTINGS).state == "passed"
