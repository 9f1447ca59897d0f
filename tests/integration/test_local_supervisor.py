"""A program that dies is started again; one that has finished, or was told to end, is not."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.processes import Child, Children, Program
from local.supervisor import Death, Supervisor


class Started:
    """Starts a program and notes each start."""

    def __init__(self, children: Children, script: str) -> None:
        self._children = children
        self._program = Program(name="service", command=["sh", "-c", script])
        self.children: queue.Queue[Child] = queue.Queue()

    def __call__(self) -> Child:
        child = self._children.start(self._program)
        self.children.put(child)
        return child


@pytest.fixture
def deaths() -> queue.Queue[Death]:
    return queue.Queue()


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    children = Children(tmp_path)
    yield children
    children.close()


def test_killed_it_is_back_at_once(children: Children, deaths: queue.Queue[Death]) -> None:
    supervisor = Supervisor(children, deaths.put)
    start = Started(children, "echo at work; sleep 300")
    supervisor.look_after(start(), start)
    first = start.children.get(timeout=10)
    first.await_ready(lambda: "at work" in first.said(), within=10)
    os.kill(first.pid, signal.SIGKILL)
    death = deaths.get(timeout=10)
    second = start.children.get(timeout=5)
    assert second.pid != first.pid
    assert psutil.pid_exists(second.pid)
    assert (death.name, death.status, death.pause) == ("service", -signal.SIGKILL, 0.5)
    assert death.log_end == "at work"
    supervisor.release()


def test_the_pauses_grow(children: Children, deaths: queue.Queue[Death]) -> None:
    supervisor = Supervisor(children, deaths.put)
    start = Started(children, "exit 7")
    supervisor.look_after(start(), start)
    seen = [deaths.get(timeout=10) for _ in range(3)]
    assert [death.pause for death in seen] == [0.5, 1.0, 2.0]
    assert {death.status for death in seen} == {7}
    supervisor.release()


def test_one_that_has_finished_is_not_started_again(
    children: Children, deaths: queue.Queue[Death]
) -> None:
    supervisor = Supervisor(children, deaths.put)
    finished: queue.Queue[bool] = queue.Queue()
    start = Started(children, "exit 0")
    supervisor.look_after(start(), start, lambda: finished.put(True))
    assert finished.get(timeout=10)
    supervisor.release()
    assert start.children.qsize() == 1
    assert deaths.empty()


def test_after_release_nothing_comes_back(children: Children, deaths: queue.Queue[Death]) -> None:
    supervisor = Supervisor(children, deaths.put)
    start = Started(children, "sleep 300")
    child = start()
    supervisor.look_after(child, start)
    supervisor.release()
    children.stop(child)
    assert child.status == -signal.SIGTERM
    assert start.children.qsize() == 1
    assert deaths.empty()
