"""The images' HEALTHCHECK: is the service of this container alive? Jobs have none and are well."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from urllib.request import urlopen

PORTS = {
    "ingest": ("RECOMMENDER_INGEST_PORT", "8081"),
    "predictor": ("RECOMMENDER_PREDICTOR_PORT", "8082"),
    "frontend": ("RECOMMENDER_FRONTEND_PORT", "8080"),
    "modeler": ("RECOMMENDER_MODELER_METRICS_PORT", "8083"),
}


def main() -> int:
    """Ask; the exit status."""
    service = Path(tempfile.gettempdir()) / "service"  # the entrypoint's note
    if not service.exists():
        return 0
    variable, default = PORTS[service.read_text().strip()]
    try:
        with urlopen(
            f"http://127.0.0.1:{os.environ.get(variable, default)}/health/live", timeout=3
        ) as answer:
            return 0 if answer.status == 200 else 1
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
