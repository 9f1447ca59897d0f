"""Medians of what steps took."""

from __future__ import annotations

from benchmarks.steps import medians, totals

TAKEN = [{"read": 1.0}, {"read": 3.0}, {"read": 2.0, "learn": 5.0}]


def test_a_step_that_is_not_there_took_no_time() -> None:
    assert medians(TAKEN) == {"learn": 0.0, "read": 2.0}


def test_a_micro_batch_takes_what_its_steps_do() -> None:
    assert totals(TAKEN) == [1.0, 3.0, 7.0]
