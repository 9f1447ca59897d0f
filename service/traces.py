"""OpenTelemetry traces, where `OTEL_EXPORTER_OTLP_ENDPOINT` says where to send them.

All other settings are OpenTelemetry's own variables (`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`,
...). A span names the route's template; paths, queries and addresses, which hold ids of people, do
not leave the process.
"""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

PERSONAL = (
    "http.url",
    "http.target",
    "url.full",
    "url.path",
    "url.query",
    "net.peer.ip",
    "net.peer.port",
    "client.address",
    "client.port",
    "network.peer.address",
    "network.peer.port",
    "http.user_agent",
    "user_agent.original",
)
"""Attributes that say who asked, or for whom."""

UNTRACED = "/health/live,/health/ready,/metrics"


class WithoutPeople(SpanProcessor):
    """Passes spans on to another processor, without what is personal in them.

    Parameters
    ----------
    inner : SpanProcessor
    """

    def __init__(self, inner: SpanProcessor) -> None:
        self._inner = inner

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        """Pass on."""
        self._inner.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Take out what is personal; a span has no public way to lose an attribute."""
        attributes: Any = span._attributes
        if attributes is not None:
            span._attributes = {k: v for k, v in attributes.items() if k not in PERSONAL}
        self._inner.on_end(span)

    def shutdown(self) -> None:
        """Pass on."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Pass on."""
        return self._inner.force_flush(timeout_millis)


def wanted() -> bool:
    """Whether the environment says where traces go."""
    return any(os.environ.get(name) for name in ENDPOINTS)


def trace(app: FastAPI, service: str, processor: SpanProcessor | None = None) -> None:
    """Trace every request of a service.

    Parameters
    ----------
    app : FastAPI
    service : str
        Its name in traces, unless `OTEL_SERVICE_NAME` gives another.
    processor : SpanProcessor, optional
        What takes the spans; the exporter of the environment where left out.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME") or service.lower()
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    inner = processor or BatchSpanProcessor(OTLPSpanExporter())
    provider.add_span_processor(WithoutPeople(inner))
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, excluded_urls=UNTRACED, exclude_spans=["receive", "send"]
    )
