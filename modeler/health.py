"""What Kubernetes and Prometheus are told of the running stream: live, ready, how far behind."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import Gauge, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from recommender.errors import MissingRequirement, Unavailable

BEHIND = Gauge(
    "modeler_records_behind",
    "Records of all topics that are in the log, but not learned; not a number where nothing learns "
    "or Kafka does not answer.",
)


class StreamHealth:
    """Whether the stream is running, and how far behind it is: asked for, never told ahead.

    Parameters
    ----------
    published : bool
        Whether this is the stream that the process' metric tells of.
    """

    def __init__(self, published: bool = True) -> None:
        self._behind: Callable[[], int] | None = None
        if published:
            BEHIND.set_function(self.behind)

    @property
    def reasons(self) -> list[str]:
        """Why the modeler does not learn now, for people; none: it learns."""
        return [] if self._behind else ["the stream is not running: starting, or interrupted"]

    def started(self, behind: Callable[[], int]) -> None:
        """The stream is running; `behind` finds out how many records it has not learned."""
        self._behind = behind

    def stopped(self) -> None:
        """The stream has ended."""
        self._behind = None

    def behind(self) -> float:
        """Records in the log that are not learned; NaN where that is not known."""
        try:
            return math.nan if self._behind is None else self._behind()
        except Unavailable:
            return math.nan


HEALTH = StreamHealth()
"""Of this process, which has one stream."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Probes come every few seconds: they are not worth a line."""


def serve(host: str, port: int) -> WSGIServer:
    """Answer ``/metrics``, ``/health/live`` and ``/health/ready`` from a thread.

    Raises
    ------
    MissingRequirement
        If the port is taken or may not be used.
    """
    try:
        server = make_server(host, port, _app(), ThreadingWSGIServer, handler_class=_Quiet)
    except OSError as error:
        raise MissingRequirement(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another "
            "RECOMMENDER_MODELER_METRICS_PORT"
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def _app() -> Callable[..., Any]:
    metrics = make_wsgi_app()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return metrics(environ, start_response)
        if path == "/health/live":
            return _answer(start_response, HTTPStatus.OK, {"status": "live"})
        if path == "/health/ready" and (reasons := HEALTH.reasons):
            detail = "Not ready: " + "; ".join(reasons)
            return _problem(start_response, HTTPStatus.SERVICE_UNAVAILABLE, detail)
        if path == "/health/ready":
            return _answer(start_response, HTTPStatus.OK, {"status": "ready"})
        return _problem(
            start_response,
            HTTPStatus.NOT_FOUND,
            f"no such address: {path}; there are /metrics, /health/live and /health/ready",
        )

    return app


def _problem(start: Callable[..., Any], status: HTTPStatus, detail: str) -> Iterable[bytes]:
    problem = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
    }
    return _answer(start, status, problem, "application/problem+json")


def _answer(
    start: Callable[..., Any],
    status: HTTPStatus,
    content: dict[str, Any],
    media_type: str = "application/json",
) -> Iterable[bytes]:
    start(f"{status.value} {status.phrase}", [("Content-Type", media_type)])
    return [json.dumps(content).encode()]
