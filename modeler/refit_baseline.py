"""Batch ALS beside a refit: its error on the part that the refit held out, as a yardstick."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from modeler.als_settings import AlsSettings
from modeler.method_options import given_settings
from recommender.accuracy import rmse
from recommender.datasets import IndexedRatings
from recommender.model_settings import ModelSettings
from recommender.refit import RefitSettings, held_out, validation_part

Baseline = Callable[[IndexedRatings, ModelSettings, RefitSettings], Mapping[str, float]]
"""Figures of another method on the same ratings, by name."""


def als(train: IndexedRatings, model: ModelSettings, settings: RefitSettings) -> dict[str, float]:
    """Train Spark's ALS on what the refit's validation leaves, and measure it on the rest.

    Its settings are those of `AlsSettings`; unlike the refit's, nothing of it is chosen by the
    validation part.

    Returns
    -------
    dict
        ``als_rmse`` and ``als_mae`` in stars, ``als_seconds``; empty where nothing was held out.

    Raises
    ------
    MissingRequirement
        If there is no Java.
    """
    out = validation_part(train, model, settings)
    if out is None:
        return {}
    from modeler.als import explicit
    from modeler.batch import session

    began = time.perf_counter()
    part, rest = held_out(train, out)
    learned = explicit(session(), part, given_settings(AlsSettings, {}), model.seed)
    predicted = learned.predict(rest.users, rest.items)
    errors = predicted.astype(np.float64) - rest.ratings
    return {
        "als_rmse": rmse(errors),
        "als_mae": float(np.abs(errors).mean()),
        "als_seconds": round(time.perf_counter() - began, 3),
    }
