"""``python -m predictor`` runs the service."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from predictor.settings import PredictorSettings


def main() -> None:
    """Run the predictor with the settings of the environment."""
    # Before numpy is loaded: it reads this once. Requests are many and their products small;
    # threads that share a product wait for each other (1.6 against 0.16 ms on two busy cores).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from predictor.settings import PredictorSettings
    from predictor.worker import application
    from service.serve import serve

    serve(PredictorSettings, _build, application)


def _build(settings: PredictorSettings) -> FastAPI:
    # Not in a process that only watches over workers. Postgres is read while the rest is imported.
    from predictor.garbage import without_garbage_collection
    from predictor.head_start import HeadStart
    from predictor.truth import truth_reader

    head_start = HeadStart(truth_reader(settings, connections=1))

    with without_garbage_collection():
        from predictor.app import build

        return build(settings, head_start=head_start)


if __name__ == "__main__":
    main()
