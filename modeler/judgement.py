"""What an evaluation found, as plain data and as a page with plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from modeler import plots
from modeler.showing import number
from recommender.bootstrap import Interval
from recommender.comparison import Compared

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


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


def report(judgement: Judgement, folder: Path) -> Path:
    """Write ``report.html`` and its plots, each as SVG and PNG, into a folder.

    Returns
    -------
    Path
        Of the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    k = judgement.k
    methods = judgement.methods

    def intervals(*figures: str) -> dict[str, dict[str, Interval]]:
        return {
            figure: {name: found.intervals[figure] for name, found in methods.items()}
            for figure in figures
        }

    pictures = {
        "errors": plots.intervals(intervals("rmse", "mae", "rmse_warm"), "rating units"),
        "ranking": plots.intervals(
            intervals(*(f"{name}_at_{k}" for name in ("ndcg", "recall", "map", "hit_rate"))), ""
        ),
        "popularity": plots.deciles({name: found.deciles for name, found in methods.items()}),
        "novelty": plots.scatter(
            {
                name: (found.figures[f"novelty_at_{k}"], found.figures[f"ndcg_at_{k}"])
                for name, found in methods.items()
            },
            "novelty of the lists (bits)",
            f"NDCG@{k}",
        ),
    }
    for name, picture in pictures.items():
        for ending in ("svg", "png"):
            picture.savefig(folder / f"{name}.{ending}")
    figures = list(dict.fromkeys(name for one in methods.values() for name in one.figures))
    page = _TEMPLATES.get_template("report.html.j2").render(
        judgement=judgement, figures=figures, pictures=list(pictures), number=number
    )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path
