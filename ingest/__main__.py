"""``python -m ingest``: run the service."""

from __future__ import annotations

from ingest.app import build
from ingest.settings import IngestSettings
from service.serve import serve

if __name__ == "__main__":
    serve(IngestSettings, build)
