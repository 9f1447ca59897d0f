"""Refit: strata, repeatability, what it leaves behind, and that it learns what there is."""

from __future__ import annotations

import numpy as np
import pytest

from recommender.accuracy import rmse
from recommender.baselines import Biases, Popularity
from recommender.evaluation import evaluate
from recommender.generate import Recipe, world
from recommender.history import Ratings
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.refit import RefitSettings, _best, _last_good, refit
from recommender.refit_blocks import RatingEpoch, cut
from recommender.splits import Split, random_split

SMALL = {"refit_rank": 8, "refit_ranking_rank": 8, "refit_negatives": 8}


@pytest.fixture(scope="module")
def split() -> Split:
    return random_split(world(200, 120, 5).dataset(5_000), 0.8, seed=2)


def some_ratings(count: int) -> Ratings:
    random = np.random.default_rng(1)
    return Ratings(
        random.integers(0, 40, count).astype(np.int32),
        random.integers(0, 30, count).astype(np.int32),
        np.arange(count, dtype=np.float32),
    )


@pytest.mark.parametrize("blocks", [1, 2, 3, 5])
def test_every_rating_is_in_the_block_of_its_user_and_item_in_order(blocks: int) -> None:
    ratings = some_ratings(700)

    found = dict(cut(ratings, blocks))

    for (user_block, item_block), block in found.items():
        assert set((block.users % blocks).tolist()) == {user_block}
        assert set((block.items % blocks).tolist()) == {item_block}
        numbers = block.ratings.astype(int)
        assert (np.diff(numbers) > 0).all()
        assert block.items.tolist() == ratings.items[numbers].tolist()
    assert sum(map(len, found.values())) == 700


def test_the_same_seed_gives_the_same_bits_however_many_threads(split: Split) -> None:
    settings = RefitSettings(**SMALL, refit_epochs=3, refit_ranking_epochs=6, refit_threads=4)

    first = refit(split.train, ModelSettings(), settings).model
    alone = settings.model_copy(update={"refit_threads": 1})
    second = refit(split.train, ModelSettings(), alone).model
    other = refit(split.train, ModelSettings(seed=7), settings).model

    assert first.item_rows.pack().tobytes() == second.item_rows.pack().tobytes()
    assert first.user_rows.pack().tobytes() == second.user_rows.pack().tobytes()
    assert first.item_rows.pack().tobytes() != other.item_rows.pack().tobytes()


def test_counts_and_mean_are_those_of_the_ratings(split: Split) -> None:
    settings = RefitSettings(**SMALL, refit_epochs=2, refit_ranking_epochs=2)

    model = refit(split.train, ModelSettings(), settings).model

    assert (
        model.user_rows.n.tolist()
        == np.bincount(split.train.users, minlength=len(split.user_ids)).tolist()
    )
    assert model.item_rows.n.sum() == len(split.train.ratings) == model.mean.count
    assert (model.settings.rank, model.settings.ranking_rank) == (8, 8)


def test_it_learns_tastes_beyond_biases_and_popularity() -> None:
    made = world(500, 300, 5, Recipe(taste=1.0)).dataset(30_000)
    split = random_split(made, 0.8, seed=2)

    figures = evaluate(refit(split.train, ModelSettings(), RefitSettings()).model, split).figures()

    assert figures["rmse_warm"] < 0.95 * evaluate(Biases(split.train), split).figures()["rmse_warm"]
    assert figures["ndcg_at_10"] > evaluate(Popularity(split.train), split).figures()["ndcg_at_10"]


def test_early_stopping_ends_before_the_limit_and_near_the_best(split: Split) -> None:
    hasty = {**SMALL, "refit_ranking_rank": 0, "refit_learning_rate": 0.2, "refit_fall": 0.0}
    told = []

    found = refit(
        split.train,
        ModelSettings(),
        RefitSettings(**hasty, refit_epochs=80, refit_regularization=0.0),
        told.append,
    )

    looked = [epoch.validation for epoch in found.curve if epoch.validation is not None]
    assert len(looked) < 80  # without λ it learns the noise soon
    assert found.epochs == 1 + int(np.argmin(looked))
    assert len(looked) == found.epochs + 3  # patience
    assert [epoch.number for epoch in told[len(looked) :]] == list(range(1, found.epochs + 1))
    assert found.ranking_epochs == 0


def test_without_a_validation_part_all_epochs_are_learned(split: Split) -> None:
    settings = RefitSettings(
        **SMALL, refit_validation_share=0, refit_epochs=4, refit_ranking_epochs=3
    )

    found = refit(split.train, ModelSettings(), settings)

    assert (found.epochs, found.ranking_epochs, found.curve) == (4, 3, [])


def test_best_epoch() -> None:
    errors = [5.0, 4.0, 4.5, 3.0, 3.5, 3.2, 3.1, 1.0]
    assert _best(lambda number: errors[number - 1], 8, patience=3, first=1) == 4
    assert _best(lambda number: errors[number - 1], 8, patience=4, first=1) == 8


def test_in_doubt_the_later_epoch() -> None:
    """Worked out by hand: four users, looked at after every second epoch."""
    looks = {
        2: [0.5, 0.5, 0.5, 0.5],
        4: [0.6, 0.6, 0.6, 0.6],
        # 0.05 less on average, deviation 0.087, standard error 0.043: worse
        6: [0.6, 0.6, 0.6, 0.4],
        # 0.05 less, deviation 0.166, standard error 0.083: who knows
        8: [0.8, 0.4, 0.4, 0.6],
        10: [0.3, 0.3, 0.3, 0.3],
        12: [0.3, 0.3, 0.3, 0.3],
        14: [0.9, 0.9, 0.9, 0.9],
    }

    def ndcg(number: int) -> np.ndarray | None:
        return np.array(looks[number]) if number in looks else None

    assert _last_good(ndcg, 14, patience=2) == 4  # 6 is worse, and 2 epochs on
    assert _last_good(ndcg, 14, patience=4) == 8  # 12 is the second in a row that is worse
    assert _last_good(ndcg, 14, patience=6) == 14
    assert _last_good(lambda _: np.zeros(0), 14, patience=2) == 14  # nobody to judge by


def test_one_epoch_of_one_block_is_plain_gradient_descent() -> None:
    """Against the formula in float64: with decay 0 every step is γ itself."""
    ratings = some_ratings(50)
    ratings = Ratings(ratings.users, ratings.items, (ratings.ratings % 9) / 2 + 0.5)
    import pyarrow as pa

    from recommender.rating_head import Step

    ids = pa.array([f"x{k}" for k in range(40)])
    model = MemoryModel(ids, ids, ModelSettings(rank=3, ranking_rank=0))
    bu, bi = np.zeros(40), np.zeros(40)
    u, p = (rows.factors.astype(float) for rows in (model.user_rows, model.item_rows))
    # The order of the second epoch of block (0, 0), by seed 9.
    order = np.random.default_rng((9, 1, 0, 2, 0, 0)).permutation(50)
    in_order = (column[order] for column in (ratings.users, ratings.items, ratings.ratings))
    for x, y, r in zip(*in_order, strict=True):
        e = r - (3.0 + bu[x] + bi[y] + u[x] @ p[y])
        bu[x] += 0.05 * (e - 0.1 * bu[x])
        bi[y] += 0.05 * (e - 0.1 * bi[y])
        u[x], p[y] = u[x] + 0.05 * (e * p[y] - 0.1 * u[x]), p[y] + 0.05 * (e * u[x] - 0.1 * p[y])

    step = Step(0.05, 0.05, 0.1, 0.0, 0.5, 5.0)
    epoch = RatingEpoch(number=2, seed=9, mean=3.0, step=step)
    items = np.arange(40, dtype=np.int32)
    epoch.learn((0, 0), ratings, model.user_rows, model.item_rows, items)

    assert model.user_rows.bias == pytest.approx(bu, abs=1e-5)
    assert model.item_rows.factors == pytest.approx(p, abs=1e-5)
    assert rmse(model.user_rows.factors - u) < 1e-5
