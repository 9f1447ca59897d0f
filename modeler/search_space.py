"""Which settings a search tries: every combination of given values, or random ones in ranges."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from modeler.method_options import known
from modeler.methods import Method
from recommender.errors import InvalidInput

Settings = dict[str, Any]

GRIDS: dict[Method, dict[str, list[Any]]] = {
    Method.als: {
        "als_rank": [10, 20, 50],
        "als_max_iter": [10],
        "als_reg_param": [0.05, 0.1, 0.15, 0.2],
    },
    Method.als_implicit: {
        "als_implicit_rank": [32, 64],
        "als_implicit_reg_param": [0.1, 0.3],
        "als_alpha": [1.0, 4.0],
    },
    Method.stream: {
        "rank": [16, 32],
        "learning_rate": [0.3, 0.55],
        "regularization": [0.08, 0.11],
        "decay": [0.5, 0.7],
        "passes": [1, 3],
        "replay": [0, 3],
    },
    Method.refit: {
        "refit_rank": [64, 128],
        "refit_learning_rate": [0.02, 0.03],
        "refit_regularization": [0.05, 0.07, 0.09],
    },
    Method.knn: {"knn_neighbors": [10, 20, 50, 100]},
    Method.knn_bm25: {"knn_neighbors": [10, 20, 50, 100]},
    Method.ease: {"ease_regularization": [50.0, 100.0, 200.0, 400.0]},
}
"""Where nothing is said: small grids around the defaults; ALS's is that of the source articles."""


def grid(values: Mapping[str, Sequence[Any]]) -> list[Settings]:
    """Every combination, the last setting running fastest.

    Examples
    --------
    >>> grid({"rank": [8, 16], "passes": [1, 3]})[1]
    {'rank': 8, 'passes': 3}
    """
    return [
        dict(zip(values, combination, strict=True))
        for combination in itertools.product(*values.values())
    ]


def parse_values(texts: Sequence[str]) -> dict[str, list[Any]]:
    """``NAME=V1,V2,...`` of each.

    Raises
    ------
    InvalidInput
        If one is not of that form, or names no setting.
    """
    values: dict[str, list[Any]] = {}
    for text in texts:
        name, given = _named(text, "NAME=V1,V2,...")
        values[name] = [_number(one, text) for one in given.split(",")]
    return values


class Ranges:
    """Ranges of settings to draw from.

    Parameters
    ----------
    texts : sequence of str
        ``NAME=LOW:HIGH``, drawn evenly, or ``NAME=LOW:HIGH:log``, drawn evenly on a logarithmic
        scale. Whole numbers where both ends are.

    Raises
    ------
    InvalidInput
        If one is not of that form, or names no setting.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._ranges: dict[str, tuple[Any, Any, bool]] = {}
        for text in texts:
            name, given = _named(text, "NAME=LOW:HIGH or NAME=LOW:HIGH:log")
            parts = given.split(":")
            logarithmic = parts[2:] == ["log"]
            if len(parts) != 2 + logarithmic:
                raise InvalidInput("--between", text, "NAME=LOW:HIGH or NAME=LOW:HIGH:log")
            low, high = (_number(part, text) for part in parts[:2])
            if not low < high or (logarithmic and low <= 0):
                raise InvalidInput("--between", text, "a low end below the high one; log: above 0")
            self._ranges[name] = (low, high, logarithmic)

    def draw(self, count: int, seed: int) -> list[Settings]:
        """So many settings; the same seed draws the same ones, more of them go on from there."""
        random = np.random.default_rng(seed)
        return [dict(self._one(random)) for _ in range(count)]

    def _one(self, random: np.random.Generator) -> Iterator[tuple[str, Any]]:
        for name, (low, high, logarithmic) in self._ranges.items():
            if logarithmic:
                drawn = math.exp(random.uniform(math.log(low), math.log(high)))
            else:
                drawn = random.uniform(low, high)
            whole = isinstance(low, int) and isinstance(high, int)
            yield name, round(drawn) if whole else float(f"{drawn:.4g}")


def _named(text: str, form: str) -> tuple[str, str]:
    name, equals, given = text.partition("=")
    if not equals or not given:
        raise InvalidInput("setting", text, form)
    if name not in known():
        raise InvalidInput("setting", name, f"one of {', '.join(sorted(known()))}")
    return name, given


def _number(text: str, whole: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            raise InvalidInput("setting", whole, "numbers") from None
