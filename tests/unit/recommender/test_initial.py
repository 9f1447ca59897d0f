"""Initial rows: the same from the same seed, side and id, and nearly normal."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from recommender.initial import initial_rows
from recommender.rows import RowFormat

FORM = RowFormat(rank=32, ranking_rank=16)


def factors(ids: list[str], side: str = "user", seed: int = 1) -> np.ndarray:
    return initial_rows(pa.array(ids), side, seed, FORM, 1.0, 1.0).factors


def test_a_row_depends_on_seed_side_and_id_only() -> None:
    alone, among = factors(["b"])[0], factors(["a", "b", "c"])[1]
    np.testing.assert_array_equal(alone, among)
    sliced = initial_rows(pa.array(["x", "b", "y"]).slice(1, 1), "user", 1, FORM, 1.0, 1.0)
    np.testing.assert_array_equal(sliced.factors[0], alone)
    for other in (factors(["b"], side="item"), factors(["b"], seed=2), factors(["B"])):
        assert not np.array_equal(other[0], alone)


def test_known_bits_hold_on_every_machine() -> None:
    """FNV-1a of 'a' is 0xaf63dc4c8601ec8c (published); the rest here is written out again."""
    mask = 2**64 - 1

    def mixed(x: int) -> int:
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return x ^ (x >> 31)

    key = mixed(0xAF63DC4C8601EC8C ^ 0x9E6C63D0876A9A47 ^ 1)
    draw = mixed((key + 0x9E3779B97F4A7C15) & mask)
    total = sum((draw >> shift) & 0xFFFF for shift in (0, 16, 32, 48))
    expected = (total - 131070.0) / np.sqrt(4 * (2.0**32 - 1) / 12)
    assert factors(["a"])[0, 0] == np.float32(expected)


def test_factors_are_nearly_standard_normal_and_uncorrelated() -> None:
    drawn = factors([f"user {number}" for number in range(20_000)])
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.std() - 1) < 0.01
    correlation = np.corrcoef(drawn, rowvar=False) - np.eye(32)
    assert np.abs(correlation).max() < 0.04


def test_nothing_has_been_learned_yet() -> None:
    rows = initial_rows(pa.array(["a", "b"]), "item", 1, FORM, 0.5, 0.25)
    assert not rows.n.any()
    assert not rows.bias.any()
    assert not rows.step.any()
    assert rows.ranking.shape == (2, 16)
    assert initial_rows(pa.array([], pa.string()), "item", 1, FORM, 1, 1).factors.shape == (0, 32)
