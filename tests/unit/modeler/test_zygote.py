"""Spark's daemon by way of the zygote, as Spark asks for it; Spark itself is not needed."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from modeler.daemon import ADDRESS

SECRET = b"between Spark and its daemon"
PARENT = """
import sys
from pathlib import Path
from modeler.zygote import Zygote
made = Zygote(Path(sys.argv[1]), lambda: None)
print(made.address, flush=True)
sys.stdin.read()
made.close()
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a zygote."""
    with running([sys.executable, "-c", PARENT, str(tmp_path)]) as process:
        address = process.stdout.readline().decode().strip()
        assert address == str(tmp_path / "zygote")
        yield process


@contextmanager
def running(command: list[str], **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, **environment}, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def spark_daemon(address: Path) -> Iterator[subprocess.Popen[bytes]]:
    told = {ADDRESS: str(address), "PYTHON_WORKER_FACTORY_SECRET": SECRET.decode()}
    command = [sys.executable, "-m", "modeler.daemon", "pyspark.worker"]
    with running(command, **told) as process:
        yield process


def number(said: bytes) -> int:
    return struct.unpack("!i", said)[0]


def worker_of(daemon: subprocess.Popen[bytes]) -> tuple[psutil.Process, socket.socket]:
    """Ask for a worker as Spark does: at the port that the daemon names, with the secret."""
    asked = socket.create_connection(("127.0.0.1", number(daemon.stdout.read(4))), timeout=30)
    worker = psutil.Process(number(asked.recv(4, socket.MSG_WAITALL)))
    asked.sendall(struct.pack("!i", len(SECRET)) + SECRET)
    assert number(asked.recv(4, socket.MSG_WAITALL)) == len(b"ok")
    assert asked.recv(2, socket.MSG_WAITALL) == b"ok"
    return worker, asked


def test_workers_are_forked_from_the_zygote_and_know_what_spark_told_the_daemon(
    parent: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    (zygote,) = psutil.Process(parent.pid).children()
    with spark_daemon(tmp_path / "zygote") as daemon:
        worker, asked = worker_of(daemon)
        with closing(asked):
            assert worker.parents()[1] == zygote
            daemon.stdin.close()  # as Spark ends it
            assert daemon.wait(30) == 0
    assert zygote.is_running()
    assert psutil.wait_procs([worker], timeout=30)[1] == []


def test_another_daemon_after_the_first(parent: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """Spark starts another one where the first does not answer."""
    (zygote,) = psutil.Process(parent.pid).children()
    for _ in range(2):
        with spark_daemon(tmp_path / "zygote") as daemon:
            worker, asked = worker_of(daemon)
            with closing(asked):
                assert worker.parents()[1] == zygote


def test_a_killed_parent_takes_its_zygote_along_and_daemons_do_without(
    parent: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    (zygote,) = psutil.Process(parent.pid).children()
    parent.kill()
    assert psutil.wait_procs([zygote], timeout=30)[1] == []
    with spark_daemon(tmp_path / "zygote") as daemon:
        worker, asked = worker_of(daemon)
        with closing(asked):
            assert worker.parent() == psutil.Process(daemon.pid)


def test_an_ended_parent_takes_its_zygote_along(parent: subprocess.Popen[bytes]) -> None:
    (zygote,) = psutil.Process(parent.pid).children()
    parent.stdin.close()
    assert parent.wait(30) == 0
    assert not zygote.is_running()


def test_the_modeler_forks_it_before_it_has_threads() -> None:
    """What another thread locks at that moment would be locked for ever in every worker."""
    program = """
import threading
import modeler.stream
def look(scratch):
    print(threading.active_count(), flush=True)
    raise SystemExit
modeler.stream._zygote = look
from modeler.__main__ import stream
stream()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert done.stdout.strip() == b"1", done.stderr.decode()
