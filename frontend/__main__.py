"""``python -m frontend``: serve the pages until told to stop."""

from __future__ import annotations

from frontend.app import build
from frontend.settings import FrontendSettings
from service.serve import serve

if __name__ == "__main__":
    serve(FrontendSettings, build)
