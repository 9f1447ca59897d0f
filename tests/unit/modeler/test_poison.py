"""A large micro-batch with one record in twenty bad, in any order: each goes where it belongs."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modeler import records
from modeler.records import DeadLetters
from tests.unit.modeler.test_records import POISON, SCALE, good, log

RECORDS = 20_000


@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.05, 0.0005, 1.0]))
@settings(max_examples=6)
def test_every_good_record_is_read_and_every_bad_one_set_aside(seed: int, share: float) -> None:
    drawn = random.Random(seed)
    kinds = [poison for poison in POISON.values() if poison is None or len(poison) < 2**16]
    bad = {n: drawn.choice(kinds) for n in range(RECORDS) if drawn.random() < share}
    stars = np.random.default_rng(seed).integers(1, 11, RECORDS) / 2
    values = [bad[n] if n in bad else good(user=f"u{n}", rating=stars[n]) for n in range(RECORDS)]
    dead = DeadLetters()
    read = records.ratings(log(*values), SCALE, dead)
    right = [n for n in range(RECORDS) if n not in bad]
    assert read["offset"].to_pylist() == right
    assert read["user"].to_pylist() == [f"u{n}" for n in right]
    assert read["rating"].to_pylist() == stars[right].tolist()
    letters = dead.table()
    assert letters["offset"].to_pylist() == sorted(bad)
    assert letters["value"].to_pylist() == [bad[n] for n in sorted(bad)]
