"""Drawing earlier ratings."""

from __future__ import annotations

import numpy as np

from recommender.history import History, Ratings


def ratings(start: int, count: int) -> Ratings:
    numbers = np.arange(start, start + count)
    return Ratings(
        numbers.astype(np.int32), (numbers * 2).astype(np.int32), numbers.astype(np.float32)
    )


def test_everything_is_kept_in_order() -> None:
    history = History()
    history.append(ratings(0, 3))
    history.append(ratings(3, 2))
    assert history.all().users.tolist() == [0, 1, 2, 3, 4]
    assert len(History().all()) == 0


def test_a_sample_has_whole_rows_and_equal_chances() -> None:
    history = History()
    history.append(ratings(0, 50))
    counts = np.zeros(50)
    for seed in range(400):
        drawn = history.sample(10, np.random.default_rng(seed))
        np.testing.assert_array_equal(drawn.items, drawn.users * 2)
        assert len(np.unique(drawn.users)) == len(drawn)
        counts[drawn.users] += 1
    assert counts.min() > 0.6 * counts.mean()
    assert counts.max() < 1.5 * counts.mean()


def test_the_same_seed_draws_the_same() -> None:
    history = History()
    history.append(ratings(0, 50))
    first, second = (history.sample(10, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.users, second.users)
    assert len(History().sample(10, np.random.default_rng(0))) == 0
