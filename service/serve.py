"""Running a service: settings, logs, a socket, uvicorn, and an orderly end."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TypeVar

import structlog

from recommender.errors import InvalidSetting, MissingRequirement
from recommender.settings import load
from service.logs import configure_logs
from service.settings import HttpSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

log = structlog.get_logger(__name__)

SomeHttpSettings = TypeVar("SomeHttpSettings", bound=HttpSettings)

CANNOT_START = 2
"""Exit status where the settings or the machine must be corrected first."""

_KEEP_ALIVE = 30  # seconds; longer than clients' own (httpx: 5), so that the client closes first
_HUNG = 30  # seconds without a sign of life after which a worker is replaced; loading may take 10
_BACKLOG = 2048  # connections waiting to be accepted


def serve(
    kind: type[SomeHttpSettings],
    build: Callable[[SomeHttpSettings], FastAPI],
    worker: Callable[[Path], FastAPI] | None = None,
) -> NoReturn:
    """Run a service until SIGTERM or SIGINT, then let running requests end, and exit.

    Exit status 0 after a signal; 2 with one sentence on stderr where a setting is wrong or the
    port is taken.

    Parameters
    ----------
    kind : type
        The service's settings model, read from the environment.
    build : callable
        Makes the application from the settings.
    worker : callable, optional
        Makes it in one of several processes, where the settings want more than one; see
        `service.workers.supervise`.
    """
    try:
        settings = load(kind)
        configure_logs(settings.log_level)
        listener = listen(*settings.address)
    except (InvalidSetting, MissingRequirement) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(CANNOT_START)
    several = worker is not None and settings.workers > 1
    application = "" if several else build(settings)

    # Not before: importing takes time, which `build` may use for something else.
    import uvicorn

    config = uvicorn.Config(
        application,
        factory=several,
        workers=settings.workers if several else 1,
        log_config=None,  # configure_logs has done it
        access_log=False,  # it would write paths, so ids of people; /metrics counts
        lifespan="on",
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=settings.http_shutdown_timeout,
        timeout_worker_healthcheck=_HUNG,
    )
    host, port = listener.getsockname()[:2]
    log.info("listening", host=host, port=port)
    if several and worker is not None:
        from service.workers import supervise

        sys.exit(supervise(config, listener, worker))
    # After its orderly end uvicorn raises the signal again: then it means success.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    uvicorn.Server(config).run(sockets=[listener])
    sys.exit(0)


def _exit(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket.

    Raises
    ------
    MissingRequirement
        If the port is taken or may not be used, or the host is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise MissingRequirement(
            f"cannot listen on {host}:{port} ({reason}); stop what uses it or choose another port"
        ) from error
