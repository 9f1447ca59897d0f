"""What Kubernetes and Prometheus are told of the running stream: live, ready, how far behind.

Spark tells it all to a listener, beside the stream; nothing here slows a micro-batch down.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import Gauge, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from pyspark.sql.streaming.listener import (
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from recommender.errors import MissingRequirement

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BEHIND = Gauge(
    "modeler_records_behind",
    "Records of all topics that were in the log, but not read, when the last micro-batch ended.",
)


class StreamHealth(StreamingQueryListener):
    """Whether a query is running, as Spark says."""

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._lock = threading.Lock()

    @property
    def reasons(self) -> list[str]:
        """Why the modeler does not learn now, for people; none: it learns."""
        with self._lock:
            return [] if self._running else ["the stream is not running: starting, or interrupted"]

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802 - Spark's name
        """A query has started."""
        with self._lock:
            self._running.add(str(event.runId))

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802 - Spark's name
        """A micro-batch has ended."""
        BEHIND.set(sum(behind(source) for source in json.loads(event.progress.json)["sources"]))

    def onQueryIdle(self, event: Any) -> None:  # noqa: N802 - Spark's name
        """Nothing is there to read."""
        BEHIND.set(0)

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802 - Spark's name
        """A query has ended."""
        with self._lock:
            self._running.discard(str(event.runId))

    def stopped(self) -> None:
        """Spark has ended: it cannot say so of its queries any more."""
        with self._lock:
            self._running.clear()


def behind(source: dict[str, Any]) -> int:
    """How many records a Kafka source had not read, from its part of Spark's progress.

    Examples
    --------
    >>> behind({"endOffset": {"ratings": {"0": 7, "1": 3}}, "latestOffset": {"ratings": {"0": 9}}})
    2
    """
    end, latest = source.get("endOffset") or {}, source.get("latestOffset") or {}
    return sum(
        max(0, offset - end.get(topic, {}).get(partition, offset))
        for topic, partitions in latest.items()
        for partition, offset in partitions.items()
    )


HEALTH = StreamHealth()
"""Of this process, which has one Spark."""


def watch(spark: SparkSession) -> None:
    """Have Spark tell `HEALTH` of its queries."""
    HEALTH.stopped()
    spark.streams.addListener(HEALTH)


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
