"""``python -m frontend``: serve the pages until told to stop."""

from __future__ import annotations

import os


def main() -> None:
    """Run the frontend with the settings of the environment."""
    # Before numpy is loaded, as in the predictor: the shop's film is made of many small products.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from frontend.app import build
    from frontend.settings import FrontendSettings
    from service.serve import serve

    serve(FrontendSettings, build)


if __name__ == "__main__":
    main()
