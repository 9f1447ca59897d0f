"""Packed rows out of Arrow's binary values."""

from __future__ import annotations

import struct

import pyarrow as pa
import pytest

from recommender.rows import RowFormat, Rows
from storage.reading import _states

FORM = RowFormat(rank=2, ranking_rank=1)


def state(*values: float) -> bytes:
    return struct.pack("<5f", *values)  # bias, two factors, one of the ranking head, step


def test_rows_are_read_also_from_a_part_of_a_batch() -> None:
    sent = pa.array([state(9, 9, 9, 9, 9), state(0.5, 1, 2, 3, 4), state(-0.5, -1, -2, -3, 0)])
    rows = Rows.empty(4, FORM)
    rows.put_states(1, [7, 2**31 - 1], _states(FORM, sent.slice(1)))
    assert rows.n.tolist() == [0, 7, 2**31 - 1, 0]
    assert rows.bias.tolist() == [0, 0.5, -0.5, 0]
    assert rows.factors.tolist() == [[0, 0], [1, 2], [-1, -2], [0, 0]]
    assert rows.ranking.tolist() == [[0], [3], [-3], [0]]
    assert rows.step.tolist() == [0, 4, 0, 0]


def test_no_rows() -> None:
    assert len(_states(FORM, pa.array([], pa.binary()))) == 0


@pytest.mark.parametrize("wrong", [b"", struct.pack("<4f", 1, 2, 3, 4), bytes(36)])
def test_rows_of_other_ranks_are_refused(wrong: bytes) -> None:
    with pytest.raises(ValueError, match="20 bytes of rank 2 and ranking rank 1"):
        _states(FORM, pa.array([state(1, 2, 3, 4, 5), wrong]))
