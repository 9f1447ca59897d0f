"""Ends the children of a process that was killed outright and could not do so itself.

One guard watches one owner. The owner holds the other end of the guard's standard input and writes
a line for each child it starts and each it has seen end; when the owner dies, however it dies, the
pipe closes, and the guard ends every session still listed, politely first. It works the same on
Linux and macOS, and for whole sessions (Spark's JVM, Postgres' workers), which the kernel's own
parent-death signal does not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

# Seconds that children get to end by themselves: a broker syncs its log, Spark closes its JVM.
POLITE = 5.0


class Guard:
    """The owner's end.

    Examples
    --------
    >>> guard = Guard()
    >>> guard.close()
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parent.parent,
            start_new_session=True,  # a Ctrl-C or a kill of the owner's group must not reach it
        )

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        # A guard that somebody has killed is no reason to stop: the owner still ends its children.
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()

    def watch(self, pid: int, stop: signal.Signals) -> None:
        """List the session led by ``pid``, to be ended by the signal ``stop``."""
        self._write(f"+ {pid} {int(stop)}")

    def forget(self, pid: int) -> None:
        """Take a session off the list."""
        self._write(f"- {pid}")

    def close(self) -> None:
        """Let the guard end what is still listed, and go."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(timeout=3 * POLITE)


def session(leader: int) -> list[psutil.Process]:
    """Live processes of the session led by the process ``leader``, and its other descendants.

    A session, not a process group: Spark's Python daemon makes a group of its own. The
    descendants, because Postgres' workers make sessions of their own.
    """
    members: dict[int, psutil.Process] = {}
    with suppress(psutil.NoSuchProcess):
        members = {child.pid: child for child in psutil.Process(leader).children(recursive=True)}
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader:
                members[process.pid] = process
    return list(members.values())


def end(sessions: Iterable[tuple[int, signal.Signals]], polite: float = POLITE) -> None:
    """End sessions, and await it: leaders by signal, after ``polite`` seconds all by force."""
    members = []
    for leader, stop in sessions:
        members += session(leader)
        for process in members:
            if process.pid == leader:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(stop)
    _, alive = psutil.wait_procs(members, timeout=polite)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=POLITE)


def main() -> None:
    """Follow the owner's list until the pipe closes, then end what is on it."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    listed: dict[int, signal.Signals] = {}
    for line in sys.stdin:
        sign, pid, *stop = line.split()
        if sign == "+":
            listed[int(pid)] = signal.Signals(int(stop[0]))
        else:
            listed.pop(int(pid), None)
    # The last started first: services before the stores that they use.
    end(reversed(listed.items()))


if __name__ == "__main__":
    main()
