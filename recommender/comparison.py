"""Several methods judged by the same ratings, side by side: figures, intervals, differences.

With several splits (folds) a user's test pairs of all folds are put together before users are
drawn; ranking figures are means over lists, one for each user and fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recommender.bootstrap import Interval, PerUser, bootstrap, interval
from recommender.evaluation import Evaluation
from recommender.splits import Split


@dataclass(frozen=True)
class Compared:
    """What is known of one method beside the others.

    Parameters
    ----------
    figures : dict of str to float
        Over all folds.
    intervals : dict of str to Interval
        Of those figures that are means over users or their pairs (coverage is not).
    differences : dict of str to Interval
        The figure less the baseline's; empty for the baseline itself.
    deciles : list of float
        Share of the lists' places for each popularity decile, the most rated first.
    """

    figures: dict[str, float | int]
    intervals: dict[str, Interval]
    differences: dict[str, Interval]
    deciles: list[float]


def compare(
    evaluations: Mapping[str, Sequence[Evaluation]],
    splits: Sequence[Split],
    *,
    baseline: str | None = None,
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 42,
) -> dict[str, Compared]:
    """Set methods side by side.

    Parameters
    ----------
    evaluations : mapping of str to sequence of Evaluation
        For each method one evaluation a split, in their order.
    splits : sequence of Split
    baseline : str, optional
        The method that differences are taken to; unset: no differences.
    draws : int
        Of the bootstrap.
    confidence : float
        Of the intervals, between 0 and 1.
    seed : int
        Of the draws.
    """
    numbers = _common_numbers(splits)
    parts = {name: _parts(found, splits, numbers) for name, found in evaluations.items()}
    samples = {
        f"{method}\0{figure}": sample
        for method, figures in parts.items()
        for figure, sample in figures.items()
    }
    drawn = bootstrap(samples, draws, seed)
    compared = {}
    for method, figures in parts.items():
        intervals, differences = {}, {}
        for figure, sample in figures.items():
            own = drawn[f"{method}\0{figure}"]
            intervals[figure] = interval(sample.value, own, confidence)
            if baseline is not None and method != baseline:
                differences[figure] = interval(
                    sample.value - parts[baseline][figure].value,
                    own - drawn[f"{baseline}\0{figure}"],
                    confidence,
                )
        found = evaluations[method]
        compared[method] = Compared(
            figures=_figures(found, figures),
            intervals=intervals,
            differences=differences,
            deciles=np.mean([one.exposure.deciles for one in found], axis=0).tolist(),
        )
    return compared


def _figures(found: Sequence[Evaluation], parts: Mapping[str, PerUser]) -> dict[str, float | int]:
    """All figures in their order: pooled over folds, counts summed, other shares averaged."""
    folds: list[dict[str, float | int]] = [one.figures() for one in found]
    figures: dict[str, float | int] = {}
    for name, first in folds[0].items():
        if name in parts:
            figures[name] = parts[name].value
        elif isinstance(first, int):
            figures[name] = sum(int(fold[name]) for fold in folds)
        else:
            figures[name] = float(np.mean([fold[name] for fold in folds]))
    return {**figures, **{name: part.value for name, part in parts.items()}}


def _parts(
    found: Sequence[Evaluation],
    splits: Sequence[Split],
    numbers: Sequence[npt.NDArray[np.int64]],
) -> dict[str, PerUser]:
    """The figures that are means over users or their test pairs, by their sums for each user."""
    length = 1 + max(int(own.max(initial=-1)) for own in numbers)
    pairs, lists = _Sums(length), _Sums(length)
    for one, split, own in zip(found, splits, numbers, strict=True):
        errors, warm, users = one.accuracy.errors, one.accuracy.warm, own[one.accuracy.users]
        for suffix, chosen in (("", slice(None)), ("_warm", warm), ("_cold", ~warm)):
            pairs.add(f"rmse{suffix}", users[chosen], np.square(errors[chosen]))
            pairs.add(f"mae{suffix}", users[chosen], np.abs(errors[chosen]))
        ranking = one.ranking
        k = ranking.lists.shape[1]
        members = own[ranking.users]
        for name, values in (
            (f"ndcg_at_{k}", ranking.ndcg),
            (f"recall_at_{k}", ranking.recall),
            (f"map_at_{k}", ranking.average_precision),
            (f"hit_rate_at_{k}", ranking.hit),
        ):
            lists.add(name, members, values)
        known = ranking.users < split.n_train_users
        lists.add(f"ndcg_at_{k}_warm", members[known], ranking.ndcg[known])
        lists.add(f"ndcg_at_{k}_cold", members[~known], ranking.ndcg[~known])
        shown = ~np.isnan(one.exposure.novelty)
        lists.add(f"novelty_at_{k}", members[shown], one.exposure.novelty[shown])
    return {**pairs.parts(), **lists.parts()}


class _Sums:
    """Totals and weights for each user and figure, added up over folds."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._totals: dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = {}

    def add(self, name: str, users: npt.NDArray[np.int64], values: npt.NDArray[Any]) -> None:
        totals, weights = self._totals.setdefault(
            name, (np.zeros(self._length), np.zeros(self._length))
        )
        totals += np.bincount(users, weights=values, minlength=self._length)
        weights += np.bincount(users, minlength=self._length)

    def parts(self) -> dict[str, PerUser]:
        return {
            name: PerUser(totals, weights, root=name.startswith("rmse"))
            for name, (totals, weights) in self._totals.items()
        }


def _common_numbers(splits: Sequence[Split]) -> list[npt.NDArray[np.int64]]:
    """For each split the number of each of its users among the users of all: codes differ."""
    everyone = pc.unique(pa.concat_arrays([split.user_ids for split in splits]))
    return [
        pc.index_in(split.user_ids, everyone).to_numpy(zero_copy_only=False).astype(np.int64)
        for split in splits
    ]
