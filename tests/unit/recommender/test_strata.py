"""Who belongs to which block."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.strata import Schedule, deal


def turns(schedule: Schedule) -> list[list[tuple[int, int, int]]]:
    """Worker and pair, round by round."""
    return [
        [
            (worker, *pair)
            for worker in range(schedule.workers)
            for pair in schedule.pairs(worker, n)
        ]
        for n in range(schedule.rounds)
    ]


@pytest.mark.parametrize("blocks", [1, 2, 3, 8])
def test_with_a_worker_for_each_block_a_round_is_a_stratum(blocks: int) -> None:
    for stratum, turn in enumerate(turns(Schedule(blocks, blocks))):
        assert turn == [(b, b, (b + stratum) % blocks) for b in range(blocks)]


@given(
    st.integers(1, 12).flatmap(lambda blocks: st.tuples(st.just(blocks), st.integers(1, blocks)))
)
def test_all_pairs_meet_once_and_in_the_order_of_the_strata(size: tuple[int, int]) -> None:
    schedule = Schedule(*size)
    blocks = schedule.blocks
    users: dict[int, list[int]] = {block: [] for block in range(blocks)}
    items: dict[int, list[int]] = {block: [] for block in range(blocks)}
    for number, turn in enumerate(turns(schedule)):
        for side in (1, 2):  # no two workers touch a block in one round
            at = {(one[0], one[side]) for one in turn}
            assert len({block for _, block in at}) == len(at)
        for worker, user, item in turn:
            assert schedule.holder(item, number) == worker == schedule.worker(user)
            users[user].append(item)
            items[item].append(user)
    # as one stratum after the other has it
    for block in range(blocks):
        assert users[block] == [(block + stratum) % blocks for stratum in range(blocks)]
        assert items[block] == [(block - stratum) % blocks for stratum in range(blocks)]
    assert schedule.rounds <= schedule.workers + 1


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
