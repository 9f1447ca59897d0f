"""The order by a stable sort, whatever the codes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from recommender.ordering import stable_order

CODES = st.sampled_from([np.int32, np.int64]).flatmap(
    lambda kind: arrays(
        kind,
        array_shapes(min_dims=1, max_dims=1, min_side=0, max_side=50),
        elements=st.integers(0, 5) | st.sampled_from([2**31 - 1, 2**31 - 2]),
    )
)


@given(CODES)
def test_the_same_as_a_stable_sort(codes: np.ndarray) -> None:
    order = stable_order(codes)
    assert order.dtype == np.intp
    assert order.tolist() == sorted(range(len(codes)), key=lambda place: int(codes[place]))
