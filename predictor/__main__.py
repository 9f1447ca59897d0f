"""``python -m predictor`` runs the service."""

from __future__ import annotations

from predictor.app import build
from predictor.settings import PredictorSettings
from service.serve import serve

if __name__ == "__main__":
    serve(PredictorSettings, build)
