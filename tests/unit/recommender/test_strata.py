"""Who belongs to which block."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.strata import deal, item_block


@pytest.mark.parametrize("blocks", [1, 2, 3, 8])
def test_in_a_stratum_no_two_tasks_touch_a_row_and_all_pairs_meet_once(blocks: int) -> None:
    met = set()
    for stratum in range(blocks):
        pairs = [(block, item_block(block, stratum, blocks)) for block in range(blocks)]
        assert len({items for _, items in pairs}) == blocks
        met.update(pairs)
    assert met == {(x, y) for x in range(blocks) for y in range(blocks)}


@given(
    heavy=st.dictionaries(st.text(min_size=1, max_size=5), st.integers(1, 1000), max_size=8),
    light=st.integers(0, 5000),
    blocks=st.integers(1, 16),
)
def test_every_id_has_one_block_and_the_load_is_as_even_as_it_can_be(
    heavy: dict[str, int], light: int, blocks: int
) -> None:
    total = sum(heavy.values()) + light
    dealing = deal(heavy, total, blocks)
    assert set(dealing.heavy) == set(heavy)
    assert len(dealing.ends) == blocks
    assert dealing.ends[-1] == 1.0
    loads = np.diff([0.0, *dealing.ends]) * light
    for one, block in dealing.heavy.items():
        loads[block] += heavy[one]
    # Graham's bound of the greedy rule: no block has more than its fair share and one id more
    assert loads.max() <= total / blocks + max(heavy.values(), default=0) + 1e-6


def test_the_hash_spreads_ids_as_the_shares_say() -> None:
    ids = pa.array([f"user-{number}" for number in range(20_000)])
    numbers = deal({"user-7": 5000}, 20_000, 4).blocks_of(ids)
    assert numbers[7] == 0
    shares = np.bincount(numbers, minlength=4) / len(ids)
    # the block of the heavy one is full; the others share the rest
    np.testing.assert_allclose(shares, [0.0, 1 / 3, 1 / 3, 1 / 3], atol=0.02)
    again = deal({"user-7": 5000}, 20_000, 4).blocks_of(ids.slice(100, 50))
    np.testing.assert_array_equal(again, numbers[100:150])
