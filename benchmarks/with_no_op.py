"""A service of the product with one more route, that does nothing.

``python -m benchmarks.with_no_op {predictor,ingest}`` starts the service as ``python -m`` does; the
route is in the same process, with the same middleware around it. The product has no such route.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import service.serve
from service.settings import HttpSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

PATH = "/no-op"


def with_no_op(app: FastAPI) -> FastAPI:
    """The same application with the route, one like all others, and found before them."""
    # Not earlier: a service reads from Postgres while it imports these.
    from starlette.responses import Response

    @app.get(PATH, response_model=None)
    async def nothing() -> Response:
        """Answer 200 with an empty object."""
        return Response(b"{}", media_type="application/json")

    app.router.routes.insert(0, app.router.routes.pop())
    return app


def worker_with_no_op(worker: Callable[[Path], FastAPI], meeting: Path) -> FastAPI:
    """What one of several worker processes serves."""
    return with_no_op(worker(meeting))


def main(name: str) -> None:
    """Run a service with the settings of the environment."""
    product = service.serve.serve

    def serve(
        kind: type[HttpSettings],
        build: Callable[[HttpSettings], FastAPI],
        worker: Callable[[Path], FastAPI] | None = None,
    ) -> None:
        several = None if worker is None else partial(worker_with_no_op, worker)
        product(kind, lambda settings: with_no_op(build(settings)), several)

    # A service's own start is left as it is, whatever else it does; only what it serves has more.
    setattr(service.serve, "serve", serve)  # noqa: B010  (a type checker refuses an assignment)
    runpy.run_module(name, run_name="__main__")


if __name__ == "__main__":
    from benchmarks import with_no_op as importable  # worker processes find its functions by name

    importable.main(sys.argv[1])
