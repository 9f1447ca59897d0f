"""Several worker processes behind one address, started and restarted by uvicorn's supervisor.

They meet in a directory of their own, which goes with them: Prometheus' client keeps each one's
metrics there, to be added up by whichever is asked (`service.metrics`).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which Prometheus' client is told; it reads it when it is imported."""

_PREFIX = "recommender-workers-"
_LOOK = 1.0  # seconds between two looks whether the supervisor is there


def supervise(
    config: uvicorn.Config, listener: socket.socket, application: Callable[[Path], FastAPI]
) -> int:
    """Run ``config.workers`` processes until SIGTERM or SIGINT, then let running requests end.

    Parameters
    ----------
    config : uvicorn.Config
        With any application.
    listener : socket
    application : callable
        Makes the application in a worker; importable from its module, as it is named to a new
        process. Is given the directory where the workers meet.

    Returns
    -------
    int
        Exit status: not 0 where a worker could not start.
    """
    with _directory() as directory:
        os.environ[METRICS_DIRECTORY] = str(directory)
        config.app = partial(_worker, application, directory)
        supervisor = Multiprocess(config, sockets=[listener])
        supervisor.run()
    failed = any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes)
    return STARTUP_FAILURE if failed else 0


def _worker(application: Callable[[Path], FastAPI], directory: Path) -> FastAPI:
    """In a worker: what it serves."""
    threading.Thread(target=_end_with, args=[os.getppid()], name="parent", daemon=True).start()
    return application(directory)


def _end_with(parent: int) -> None:
    """End in good order when the supervisor is gone: nobody else would end this process."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os.kill(os.getpid(), signal.SIGTERM)


def registry() -> CollectorRegistry | None:
    """The metrics of all workers together; None where there is only this process."""
    directory = os.environ.get(METRICS_DIRECTORY)
    if directory is None:
        return None
    # What the dead have counted stays; what they were at is no more.
    for gauge in Path(directory).glob("gauge_live*.db"):
        if not _alive(int(gauge.stem.rpartition("_")[2])):
            gauge.unlink(missing_ok=True)
    found = CollectorRegistry()
    MultiProcessCollector(found)  # type: ignore[no-untyped-call]
    return found


@contextmanager
def _directory() -> Iterator[Path]:
    """A new directory for the workers; those whose supervisor was killed are removed as well."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        number = left.name.removeprefix(_PREFIX).partition("-")[0]
        # Our own number, too: in a container each first process has the same.
        if number.isdigit() and (int(number) == os.getpid() or not _alive(int(number))):
            shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
