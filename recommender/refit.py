"""Refit: both heads learned from all ratings at once, over many epochs, with the engine's kernels.

One streaming pass sees each rating once or a few times, with steps that shrink as a row is met more
often. A refit has all ratings before it: it goes through them in random order, epoch after epoch,
with one step for all rows that falls by a constant share from epoch to epoch,
``γ_e = γ (1 - fall)^e``. The ranking head's Adagrad shrinks its own steps; its negatives are drawn
from all items, and what is kept is the mean of its vectors over the epochs after the first four
(Polyak and Juditsky, 1992), which takes out the noise that the draws leave. How many epochs are
enough is found on a validation part (early stopping); then all ratings are learned for so many.

Who goes through the ratings is a `Learner`: threads of this process (`recommender.refit_threads`),
or Spark's tasks (`modeler.refit_spark`). Both learn the same blocks in the same order
(`recommender.refit_blocks`): the result depends on the number of blocks, never on who learned them,
or how many at once.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pydantic import Field

from recommender.accuracy import rmse
from recommender.datasets import IndexedRatings
from recommender.evaluation import rank, relevant_rating
from recommender.history import Ratings
from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from recommender.ranking_head import RankingStep
from recommender.refit_blocks import Learner, RankingEpoch, RatingEpoch
from recommender.refit_threads import Threads
from recommender.settings import Settings

# Lists of so many users are enough to see whether the ranking still improves.
_VALIDATION_USERS = 1000
_RANKING_EPOCHS_A_LOOK = 2  # judging lists costs as much as an epoch
_ROWS_A_FACTOR, _FEWEST_FACTORS = 3, 8
# Before averaging: by then the vectors have found their directions.
_FIRST_RANKING_EPOCHS = 4


class RefitSettings(Settings):
    """Settings of a refit; the scale, the seed and the new rows' scale are the model's own.

    Those of the ranking head are the best of a search by folds of MovieLens's training rows
    (docs/data-science.md).
    """

    refit_rank: int = Field(
        128,
        ge=1,
        le=512,
        description="Factors of the rating head of a refit model; at most a third of the users or "
        "items.",
    )
    refit_ranking_rank: int = Field(
        199, ge=0, le=512, description="Factors of its ranking head; 0 switches it off."
    )
    refit_epochs: int = Field(
        60, ge=1, le=1000, description="Epochs of the rating head at most; early stopping may end."
    )
    refit_learning_rate: float = Field(
        0.03, gt=0, le=2, description="γ of the first epoch, for biases and factors."
    )
    refit_fall: float = Field(
        0.05, ge=0, lt=1, description="Share by which γ falls from epoch to epoch."
    )
    refit_regularization: float = Field(0.07, ge=0, le=1, description="λ of the rating head.")
    refit_ranking_epochs: int = Field(
        26, ge=1, le=1000, description="Epochs of the ranking head at most."
    )
    refit_ranking_learning_rate: float = Field(
        0.086, gt=0, le=2, description="Step of the ranking head (Adagrad)."
    )
    refit_ranking_regularization: float = Field(
        0.0545, ge=0, le=1, description="λ of the ranking head."
    )
    refit_negatives: int = Field(
        39, ge=1, le=1000, description="Items drawn for each rating as not rated, ranking head."
    )
    refit_negative_weight: float = Field(
        0.481, ge=0, le=10, description="Weight of such an item beside a high rating's 1."
    )
    refit_ranking_balance: float = Field(
        0.42,
        ge=0,
        le=1,
        description="τ of its ranking head: from 0, where each rating counts the same, to 1, where "
        "each user does.",
    )
    refit_validation_share: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="Share of the ratings that decides how many epochs are enough; 0: all epochs.",
    )
    refit_patience: int = Field(
        3, ge=1, le=100, description="Looks at the validation part without improvement to stop at."
    )
    refit_blocks: int = Field(
        4, ge=1, le=256, description="Blocks of users and of items: so many may learn at once."
    )
    refit_threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Threads that learn blocks, 0: one for each core. Beside a stream fewer leave "
        "it more; the result is the same.",
    )


@dataclass(frozen=True)
class Epoch:
    """What is told of each epoch.

    Parameters
    ----------
    head : str
        ``rating`` or ``ranking``.
    number, limit : int
        This epoch, from 1, and the last one possible.
    validation : float or None
        Of the validation part RMSE or NDCG@10; None where none was looked at.
    mae : float or None
        Of the validation part, rating head.
    """

    head: str
    number: int
    limit: int
    validation: float | None = None
    mae: float | None = None


Progress = Callable[[Epoch], None]
Way = Callable[[Ratings, RefitSettings], AbstractContextManager[Learner]]
"""Makes the one who learns some ratings."""


@dataclass(frozen=True)
class Refitted:
    """A refit model, the epochs it was learned for, and the validation figures on the way."""

    model: MemoryModel
    epochs: int
    ranking_epochs: int
    curve: list[Epoch]

    @property
    def validation(self) -> dict[str, float]:
        """Figures of the validation part after so many epochs: ``rmse``, ``mae``, ``ndcg@10``.

        The part was left out then, but chose how many epochs they are: a little too good. Empty
        where there was none.
        """
        ends = {"rating": self.epochs, "ranking": self.ranking_epochs}
        last = {one.head: one for one in self.curve if one.number == ends[one.head]}
        named = {
            "rmse": last["rating"].validation if "rating" in last else None,
            "mae": last["rating"].mae if "rating" in last else None,
            "ndcg@10": last["ranking"].validation if "ranking" in last else None,
        }
        return {name: value for name, value in named.items() if value is not None}


def in_threads(ratings: Ratings, settings: RefitSettings) -> AbstractContextManager[Learner]:
    """The way in one process, with as many threads as it has cores, or as the settings say."""
    threads = settings.refit_threads or os.cpu_count() or 1
    return closing(Threads(ratings, settings.refit_blocks, threads))


def refit(
    train: IndexedRatings,
    model: ModelSettings,
    settings: RefitSettings,
    progress: Progress = lambda _: None,
    way: Way = in_threads,
) -> Refitted:
    """Learn a model of all these ratings.

    Parameters
    ----------
    train : IndexedRatings
        Of a pair rated again each rating is learned.
    model : ModelSettings
        Scale, seed and scale of new rows; kept with the model, its ranks being the refit's.
    settings : RefitSettings
    progress : callable
        Called after each epoch.
    way : callable
        Who learns; the result is the same.
    """
    most = most_factors(len(train.user_ids), len(train.item_ids))
    made = model.model_copy(
        update={
            "rank": min(settings.refit_rank, most),
            "ranking_rank": min(settings.refit_ranking_rank, most),
        }
    )
    curve: list[Epoch] = []

    def told(epoch: Epoch) -> None:
        curve.append(epoch)
        progress(epoch)

    epochs, ranking_epochs = settings.refit_epochs, settings.refit_ranking_epochs
    if settings.refit_validation_share:
        epochs, ranking_epochs = _enough_epochs(train, made, settings, told, way)
    with way(_columns(train), settings) as learner:
        learned = _Learning(train, train, made, settings, learner)
        for number in range(1, epochs + 1):
            learned.rating_epoch(number)
            progress(Epoch("rating", number, epochs))
        for number in range(1, ranking_epochs + 1 if made.ranking_rank else 1):
            learned.ranking_epoch(number)
            progress(Epoch("ranking", number, ranking_epochs))
    learned.average()
    return Refitted(learned.model, epochs, ranking_epochs if made.ranking_rank else 0, curve)


def validation_part(
    train: IndexedRatings, model: ModelSettings, settings: RefitSettings
) -> npt.NDArray[np.bool_] | None:
    """Which ratings a refit holds out to decide how many epochs are enough; None: none of them.

    ``(n_ratings,)``; the same for the same seed and number of ratings.
    """
    random = np.random.default_rng((model.seed, 2))
    out = random.random(len(train.ratings)) < settings.refit_validation_share
    return out if out.any() and not out.all() else None


def held_out(
    ratings: IndexedRatings, out: npt.NDArray[np.bool_]
) -> tuple[IndexedRatings, IndexedRatings]:
    """Ratings without those held out, and those held out."""
    return _rows(ratings, ~out), _rows(ratings, out)


def most_factors(n_users: int, n_items: int) -> int:
    """Factors that so many users and items can fill: a third of the fewer, but at least 8.

    With more, every item gets a direction of its own, and nothing is learned from one about others.

    Examples
    --------
    >>> most_factors(610, 9_724), most_factors(200, 52), most_factors(3, 4)
    (203, 17, 8)
    """
    return max(min(n_users, n_items) // _ROWS_A_FACTOR, _FEWEST_FACTORS)


class _Learning:
    """A model on its way through the epochs.

    Parameters
    ----------
    known : IndexedRatings
        Whose ids the model has.
    train : IndexedRatings
        What is learned, with the codes of `known`.
    """

    def __init__(
        self,
        known: IndexedRatings,
        train: IndexedRatings,
        made: ModelSettings,
        settings: RefitSettings,
        learner: Learner,
    ) -> None:
        self.model = MemoryModel(known.user_ids, known.item_ids, made)
        self.model.count(train.users, train.items, train.ratings)
        self._settings, self._made, self._learner = settings, made, learner
        self._averaged = 0
        self._means = [
            np.zeros_like(rows.ranking) for rows in (self.model.user_rows, self.model.item_rows)
        ]

    def rating_epoch(self, number: int) -> None:
        settings = self._settings
        rate = settings.refit_learning_rate * (1 - settings.refit_fall) ** (number - 1)
        step = replace(
            self._made.step,
            learning_rate=rate,
            bias_learning_rate=rate,
            regularization=settings.refit_regularization,
            decay=0.0,
        )
        epoch = RatingEpoch(number, self._made.seed, self.model.mean.value, step)
        self._learner.learn(epoch, self.model)

    def ranking_epoch(self, number: int) -> None:
        settings, made, model = self._settings, self._made, self.model
        step = RankingStep(
            settings.refit_ranking_learning_rate,
            settings.refit_ranking_regularization,
            settings.refit_negatives,
            settings.refit_negative_weight,
            settings.refit_ranking_balance,
        )
        scale = (made.rating_min, made.rating_max)
        self._learner.learn(RankingEpoch(number, made.seed, step, scale), model)
        if number > _FIRST_RANKING_EPOCHS:
            self._averaged += 1
            for mean, rows in zip(self._means, (model.user_rows, model.item_rows), strict=True):
                mean += (rows.ranking - mean) / self._averaged

    def average(self) -> None:
        """Put the mean of the ranking vectors in their place; a second call takes them back."""
        if self._averaged:
            for place, rows in enumerate((self.model.user_rows, self.model.item_rows)):
                rows.ranking, self._means[place] = self._means[place], rows.ranking


def _enough_epochs(
    train: IndexedRatings,
    made: ModelSettings,
    settings: RefitSettings,
    told: Progress,
    way: Way,
) -> tuple[int, int]:
    """Epochs of each head after which the validation part's figures were best."""
    out = validation_part(train, made, settings)
    if out is None:
        return settings.refit_epochs, settings.refit_ranking_epochs
    part, validation = held_out(train, out)
    with way(_columns(part), settings) as learner:
        learning = _Learning(train, part, made, settings, learner)
        return _until_no_better(learning, part, validation, made, settings, told)


def _until_no_better(
    learning: _Learning,
    part: IndexedRatings,
    validation: IndexedRatings,
    made: ModelSettings,
    settings: RefitSettings,
    told: Progress,
) -> tuple[int, int]:
    random = np.random.default_rng((made.seed, 3))
    model = learning.model

    def rating_error(number: int) -> float:
        learning.rating_epoch(number)
        predicted = model.predict(validation.users, validation.items)
        errors = predicted.astype(np.float64) - validation.ratings
        error = rmse(errors)
        told(Epoch("rating", number, settings.refit_epochs, error, float(np.abs(errors).mean())))
        return error

    epochs = _best(rating_error, settings.refit_epochs, settings.refit_patience, 1)
    if not made.ranking_rank:
        return epochs, 0
    some = _rows(validation, np.isin(validation.users, _some(validation, random)))
    relevant = relevant_rating(made.rating_min, made.rating_max)
    if made.rating_max <= relevant:
        relevant = relevant_rating(made.rating_min, made.rating_max, share=7 / 9)

    def ndcg(number: int) -> npt.NDArray[np.float64] | None:
        learning.ranking_epoch(number)
        if number % _RANKING_EPOCHS_A_LOOK and number != settings.refit_ranking_epochs:
            told(Epoch("ranking", number, settings.refit_ranking_epochs))
            return None
        learning.average()
        found = rank(model, part, some, relevant=relevant).ndcg
        learning.average()
        quality = float(found.mean()) if len(found) else math.nan
        told(Epoch("ranking", number, settings.refit_ranking_epochs, quality))
        return found

    patience = settings.refit_patience * _RANKING_EPOCHS_A_LOOK
    return epochs, _last_good(ndcg, settings.refit_ranking_epochs, patience)


def _best(error: Callable[[int], float], limit: int, patience: int, first: int) -> int:
    """The number of the epoch with the lowest error, until `patience` epochs brought no lower."""
    best, lowest = limit, np.inf
    for number in range(first, limit + 1):
        found = error(number)
        if found < lowest:
            best, lowest = number, found
        elif np.isfinite(lowest) and number - best >= patience:
            break
    return best


def _last_good(
    ndcg: Callable[[int], npt.NDArray[np.float64] | None], limit: int, patience: int
) -> int:
    """The last epoch whose lists were not surely worse than the best, until `patience` were.

    Surely: by more than one standard error of the mean difference over the users (the rule of one
    standard error: Breiman et al., 1984). In doubt the later epoch: the mean of more epochs has
    less noise, and some hundred users' lists show that of one draw only. `ndcg` gives each user's
    figure after an epoch, the same users each time, or None where nobody looked.
    """
    last, best = limit, np.zeros(0)
    for number in range(1, limit + 1):
        found = ndcg(number)
        if found is None:
            continue
        if not len(found):
            return limit
        lost = best - found if len(best) else np.zeros(1)
        if lost.mean() <= lost.std() / math.sqrt(len(lost)):
            last = number
        elif number - last >= patience:
            break
        if not len(best) or lost.mean() < 0:
            best = found
    return last


def _columns(ratings: IndexedRatings) -> Ratings:
    return Ratings(ratings.users, ratings.items, ratings.ratings)


def _some(ratings: IndexedRatings, random: np.random.Generator) -> np.ndarray:
    users = np.unique(ratings.users)
    return random.permutation(users)[:_VALIDATION_USERS]


def _rows(ratings: IndexedRatings, chosen: np.ndarray) -> IndexedRatings:
    return replace(
        ratings,
        users=ratings.users[chosen],
        items=ratings.items[chosen],
        ratings=ratings.ratings[chosen],
        timestamps=ratings.timestamps[chosen],
    )
