"""What Prometheus is told about HTTP: requests, errors and latency, by route template.

Errors are the requests with a ``status`` of 4xx or 5xx. Services and stores define further
metrics beside the code they measure, in prometheus-client's default registry.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from service import workers

REQUESTS = Counter(
    "http_requests", "HTTP requests answered, by route and status.", ["method", "route", "status"]
)
SECONDS = Histogram(
    "http_request_duration_seconds",
    "Seconds from the request's arrival to the end of its answer.",
    ["method", "route"],
    # From a no-op's 0.1 ms to the longest bounded wait; 10 and 20 ms are limits we promise.
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
EXCEPTIONS = Counter(
    "http_exceptions", "Requests that ended in an unexpected exception.", ["route"]
)

UNMATCHED = "unmatched"
"""Route of requests to addresses that do not exist; their paths are without bound."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# labels() takes a lock and builds strings; this look-up costs a tenth of it.
_children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request.

    Parameters
    ----------
    method : str
        HTTP method; unknown ones are counted as ``other``.
    route : str
        The route's template, e.g. ``/items/{item}``.
    status : int
        HTTP status; 499 where the client left before the answer.
    seconds : float
        Duration.
    """
    key = (method if method in _METHODS else "other", route, status)
    children = _children.get(key)
    if children is None:
        children = (REQUESTS.labels(key[0], route, str(status)), SECONDS.labels(key[0], route))
        _children[key] = children
    children[0].inc()
    children[1].observe(seconds)


router = APIRouter(tags=["operations"])


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """Every metric of this service, in Prometheus's text format or OpenMetrics, as asked for."""
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(
        encode(workers.registry() or REGISTRY),
        media_type=None,
        headers={"Content-Type": content_type},
    )
