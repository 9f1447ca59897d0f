"""What an evaluation found, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recommender.comparison import Compared


@dataclass(frozen=True)
class Judgement:
    """Several methods judged by the same ratings.

    Parameters
    ----------
    data : str
        Name of the data.
    split : dict
        How they were divided.
    n_train, n_test : int
        Ratings learned and judged by, over all folds.
    k : int
        Length of the lists.
    relevant_rating : float
        From which on a test rating is relevant.
    baseline : str
        The method that differences are taken to.
    confidence, draws : float, int
        Of the bootstrap.
    methods : mapping of str to Compared
    told : mapping of str to dict
        What each method says of its learning: seconds, settings.
    """

    data: str
    split: Mapping[str, Any]
    n_train: int
    n_test: int
    k: int
    relevant_rating: float
    baseline: str
    confidence: float
    draws: int
    methods: Mapping[str, Compared]
    told: Mapping[str, dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values; NaN where there was nothing to average over."""
        return {
            "data": self.data,
            "split": dict(self.split),
            "n_train": self.n_train,
            "n_test": self.n_test,
            "k": self.k,
            "relevant_rating": self.relevant_rating,
            "baseline": self.baseline,
            "confidence": self.confidence,
            "draws": self.draws,
            "methods": {
                name: {
                    "figures": compared.figures,
                    "intervals": {
                        figure: [one.low, one.high] for figure, one in compared.intervals.items()
                    },
                    "differences": {
                        figure: {"value": one.value, "low": one.low, "high": one.high}
                        for figure, one in compared.differences.items()
                    },
                    "popularity_deciles": compared.deciles,
                    **self.told[name],
                }
                for name, compared in self.methods.items()
            },
        }
