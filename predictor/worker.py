"""One of several worker processes of the predictor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI


def application(directory: Path) -> FastAPI:
    """The predictor, sharing its item side with those that meet in a directory."""
    # Here, as the supervisor imports this module and needs nothing of what a worker does.
    from predictor.app import build
    from predictor.settings import PredictorSettings
    from recommender.settings import load
    from service.logs import configure_logs

    settings = load(PredictorSettings)
    configure_logs(settings.log_level)
    return build(settings, directory)
