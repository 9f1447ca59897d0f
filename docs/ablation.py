"""Measures the table of docs/model.md: what each setting is worth. ``python -m docs.ablation``.

Prints Markdown. Tuning used a validation part of the training rows; these are the test rows, which
say what the choices came to.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from modeler.methods import Method, Task, learn
from recommender.datasets import load
from recommender.evaluation import evaluate
from recommender.model_settings import ModelSettings
from recommender.splits import Split, random_split

SEEDS = 3
MICRO_BATCH = 1_000
VARIANTS: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "`passes` 1": {"passes": 1},
    "`replay` 0": {"replay": 0},
    "`passes` 1, `replay` 0: strictly one pass": {"passes": 1, "replay": 0},
    "`replay` 9": {"replay": 9},
    "`rank` 8": {"rank": 8},
    "`rank` 100": {"rank": 100},
    "`decay` 0: constant steps": {"decay": 0.0},
    "one step for all: `bias_learning_rate` = `learning_rate`": {"bias_learning_rate": None},
    "`ranking_rank` 0: no ranking head": {"ranking_rank": 0},
    "`ranking_rank` 32": {"ranking_rank": 32},
    "`negatives` 64, `negative_weight` 0.3": {"negatives": 64, "negative_weight": 0.3},
    "micro-batches of 100": {"micro_batch": 100},
    "micro-batches of 20,000": {"micro_batch": 20_000},
    "learned in order of time": {"in_time": True},
}


def main(path: Path) -> None:
    """Measure and print."""
    split = random_split(load(path))
    rows = ["| | RMSE warm | RMSE | NDCG@10 |", "|---|---|---|---|"]
    for name, changed in VARIANTS.items():
        rows.append(f"| {name} | {' | '.join(figures(split, changed))} |")
        sys.stderr.write(f"{rows[-1]}\n")
    sys.stdout.write("\n".join(rows) + "\n")


def figures(split: Split, changed: dict[str, Any]) -> list[str]:
    """Means over the seeds."""
    settings, micro_batch = dict(changed), changed.get("micro_batch", MICRO_BATCH)
    train = split.train.by_time() if settings.pop("in_time", False) else split.train
    settings.pop("micro_batch", None)
    defaults = ModelSettings(rating_min=split.rating_min, rating_max=split.rating_max)
    if "bias_learning_rate" in settings:
        settings["bias_learning_rate"] = defaults.learning_rate
    found = []
    for more in range(SEEDS):
        model = defaults.model_copy(update={**settings, "seed": defaults.seed + more})
        learned = learn(Method.stream, Task(train, model, micro_batch))
        found.append(evaluate(learned.recommender, split).figures())
    return [
        f"{np.mean([one[figure] for one in found]):.3f}"
        for figure in ("rmse_warm", "rmse", "ndcg_at_10")
    ]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m docs.ablation PATH, e.g. of ml-latest-small.zip")
    main(Path(sys.argv[1]))
