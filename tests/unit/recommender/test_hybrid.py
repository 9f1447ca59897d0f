"""Blending lists: shares of every beginning, nothing twice, nothing short."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.hybrid import blend, less_known

LISTS = st.lists(st.integers(0, 30), unique=True, max_size=20)


@given(known=LISTS, others=LISTS, length=st.integers(0, 25), share=st.floats(0, 1))
def test_nothing_twice_and_as_long_as_can_be(
    known: list[int], others: list[int], length: int, share: float
) -> None:
    chosen = blend(known, others, length, share)

    assert len(chosen) == len(set(chosen)) == min(length, len(set(known) | set(others)))
    assert set(chosen) <= set(known) | set(others)


@given(share=st.floats(0, 1))
def test_every_beginning_has_its_share(share: float) -> None:
    chosen = blend(range(50), range(100, 150), 40, share)

    for end in range(1, 41):
        others = sum(item >= 100 for item in chosen[:end])
        assert others - 1e-6 <= share * end + 1e-6 < others + 1 + 1e-6


def test_less_known_leaves_out_the_most_rated_tenth_and_the_unrated() -> None:
    counts = np.array([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])

    found = less_known(np.arange(10, dtype=np.float32), counts)

    assert found.tolist() == [-np.inf, 1, 2, 3, 4, 5, 6, 7, 8, -np.inf]
