"""Rows out of what Postgres sends in its binary format, put together here by hand."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from recommender.rows import RowFormat
from storage.copied_rows import CopiedRows

FORM = RowFormat(rank=2, ranking_rank=1)
HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
END = struct.pack(">h", -1)


def row(item: str, n: int, state: bytes) -> bytes:
    name = item.encode()
    sent = struct.pack(">hi", 3, len(name)) + name + struct.pack(">ii", 4, n)
    return sent + struct.pack(">i", len(state)) + state


def state(*values: float) -> bytes:
    return struct.pack("<5f", *values)  # bias, two factors, one of the ranking head, step


@pytest.mark.parametrize("part", [1, 2, 3, 10])
def test_rows_are_read(part: int) -> None:
    told: list[int] = []
    copied = CopiedRows(FORM, 3, part, told.append)
    copied.write(HEADER + row("a", 7, state(0.5, 1, 2, 3, 4)))
    copied.write(row("é", 0, state(-0.5, -1, -2, -3, 0)))
    copied.write(row("b:c", 2**31 - 1, state(0, 0, 0, 0, 0)))
    copied.write(END)

    items, rows = copied.taken()

    assert items == ["a", "é", "b:c"]
    assert rows.n.tolist() == [7, 0, 2**31 - 1]
    assert rows.bias.tolist() == [0.5, -0.5, 0]
    assert rows.factors.tolist() == [[1, 2], [-1, -2], [0, 0]]
    assert rows.ranking.tolist() == [[3], [-3], [0]]
    assert rows.step.tolist() == [4, 0, 0]
    assert told[-1] == 3


def test_fewer_rows_than_there_may_be() -> None:
    copied = CopiedRows(FORM, 1000, 10, lambda _: None)
    copied.write(HEADER + row("a", 1, state(1, 2, 3, 4, 5)))
    copied.write(END)
    items, rows = copied.taken()
    assert items == ["a"]
    assert len(rows) == 1
    assert rows.factors.tolist() == [[2, 3]]


def test_no_rows() -> None:
    copied = CopiedRows(FORM, 0, 10, lambda _: None)
    copied.write(HEADER)
    copied.write(END)
    items, rows = copied.taken()
    assert items == []
    assert len(rows) == 0


@pytest.mark.parametrize("wrong", [b"", np.zeros(4, "<f4").tobytes(), np.zeros(9, "<f4").tobytes()])
def test_rows_of_other_ranks_are_refused(wrong: bytes) -> None:
    copied = CopiedRows(FORM, 2, 10, lambda _: None)
    copied.write(HEADER + row("a", 1, state(1, 2, 3, 4, 5)))
    copied.write(row("b", 1, wrong))
    with pytest.raises(ValueError, match="20 bytes of rank 2 and ranking rank 1"):
        copied.taken()
