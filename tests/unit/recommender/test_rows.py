"""Rows keep every bit on the way to bytes and back."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from recommender.rows import RowFormat, Rows


def test_layout_is_packed_little_endian() -> None:
    rows = Rows.empty(1, RowFormat(rank=2, ranking_rank=1))
    rows.n[0], rows.bias[0], rows.step[0] = 7, 0.5, 9.0
    rows.factors[0] = [1.0, 2.0]
    rows.ranking[0] = [3.0]
    assert rows.pack().tobytes() == struct.pack("<ifffff", 7, 0.5, 1.0, 2.0, 3.0, 9.0)


def test_round_trip() -> None:
    random = np.random.default_rng(3)
    rows = Rows.empty(5, RowFormat(rank=3, ranking_rank=0))
    rows.n[:] = random.integers(0, 9, 5)
    rows.factors[:] = random.normal(size=(5, 3))
    back = Rows.unpack(rows.format.unpack(rows.pack().tobytes()))
    np.testing.assert_array_equal(back.factors, rows.factors)
    np.testing.assert_array_equal(back.n, rows.n)


def test_bytes_of_another_format_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of element size"):
        RowFormat(rank=3, ranking_rank=0).unpack(b"x" * 21)


def test_growing_keeps_what_there_is() -> None:
    rows = Rows.empty(2, RowFormat(rank=2, ranking_rank=0))
    rows.bias[:] = [1.0, 2.0]
    grown = rows.grown(4)
    np.testing.assert_array_equal(grown.bias, [1.0, 2.0, 0.0, 0.0])
