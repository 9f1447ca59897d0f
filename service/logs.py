"""Structured logs: one JSON object a line on stderr, with the id of the request it belongs to.

Nothing here writes paths with values, query strings, bodies or client addresses: those are
personal data.
"""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import orjson
import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

    from service.settings import LogLevel

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the request being answered in this task; ``None`` outside of one."""


def _add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    request_id = REQUEST_ID.get()
    if request_id is not None:
        event["request_id"] = request_id
    return event


def _to_json(event: EventDict, default: Any = None, **_options: Any) -> bytes:
    # str() as a last resort: a log line must never raise because of what it was given.
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)


def configure_logs(level: LogLevel = "info") -> None:
    """Send the logs of this process, ours and those of libraries, to stderr as JSON lines.

    Parameters
    ----------
    level : {"debug", "info", "warning", "error"}
        The least severe line that is written.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # text without local variables
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_to_json)],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared[:-1], structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(
                    serializer=lambda event, **options: _to_json(event, **options).decode()
                ),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
