"""One child process: started in its own session, logged to a file, awaited until it answers, ended.

What the child is (Kafka, a service) is said by others; nothing here knows.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import tenacity

from local import guard
from recommender.errors import MissingRequirement

REPOSITORY = Path(__file__).parent.parent

# Often enough not to be noticed in a start, seldom enough to cost nothing.
READINESS_INTERVAL = 0.05


@dataclass(frozen=True)
class Program:
    """What to run.

    Parameters
    ----------
    name : str
        What it is called on the screen and in the name of its log.
    command : sequence of str
    environment : mapping of str to str
        Added to the environment of this process.
    folder : Path
        Working folder.
    stop : signal
        What asks it to end; Postgres and Spark want another one than SIGTERM.
    stop_within : float
        Seconds after which it is ended by force.
    user, group : int or None
        Whom to run as, where not as ourselves.
    niceness : int
        From 0 to 19: above 0 it leaves the processors to others that want them.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = REPOSITORY
    stop: signal.Signals = signal.SIGTERM
    stop_within: float = 15.0
    user: int | None = None
    group: int | None = None
    niceness: int = 0


class Child:
    """A running `Program`.

    Parameters
    ----------
    program : Program
    log : Path
        What it says is appended there.
    watched_by : Guard
        Ends it should this process be killed.

    Raises
    ------
    MissingRequirement
        If the program is not there.
    """

    def __init__(self, program: Program, log: Path, watched_by: guard.Guard) -> None:
        self.program = program
        self.log = log
        self._guard = watched_by
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = log.stat().st_size if log.exists() else 0
        self.started_at = time.monotonic()
        with log.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    list(program.command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=program.folder,
                    env={**os.environ, **program.environment},
                    start_new_session=True,  # Ctrl-C is for us; each child is ended in its turn
                    user=program.user,
                    group=program.group,
                    extra_groups=None if program.user is None else [],
                )
            except OSError as error:
                raise MissingRequirement(f"{program.name} cannot be started: {error}") from error
        watched_by.watch(self._process.pid, program.stop)
        if program.niceness:
            _give_way(self._process.pid, program.niceness)

    @property
    def pid(self) -> int:
        """Its process id, which is that of its session too."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status; None while it runs, minus the signal's number if one ended it."""
        return self._process.poll()

    def wait(self) -> int:
        """Await its end, then end what it left behind; its exit status."""
        status = self._process.wait()
        guard.end([(self.pid, signal.SIGKILL)], polite=0)
        self._guard.forget(self.pid)
        return status

    def await_ready(self, ready: Callable[[], bool], within: float) -> None:
        """Ask until it answers.

        Parameters
        ----------
        ready : callable
            Asks the program itself; True once it serves. A refused connection is False.
        within : float
            Seconds.

        Raises
        ------
        MissingRequirement
            If it ended, or did not answer in time; with the end of its log.
        """

        def ended_or_ready() -> bool:
            return self.status is not None or ready()

        try:
            tenacity.Retrying(
                stop=tenacity.stop_after_delay(within),
                wait=tenacity.wait_fixed(READINESS_INTERVAL),
                retry=tenacity.retry_if_result(lambda done: not done),
            )(ended_or_ready)
        except tenacity.RetryError:
            raise MissingRequirement(
                f"{self.program.name} did not answer within {within:g} s; its log, {self.log}, "
                f"ends:\n{self.log_end()}"
            ) from None
        if self.status is not None:
            raise MissingRequirement(
                f"{self.program.name} ended at once (status {self.status}); its log, {self.log}, "
                f"ends:\n{self.log_end()}"
            )

    def said(self) -> str:
        """All it has written since it was started, at most the last 64 KiB."""
        with self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._log_start, size - (1 << 16)))
            return file.read().decode("utf-8", "replace")

    def log_end(self, lines: int = 15) -> str:
        """The last lines of what it wrote."""
        return "\n".join(self.said().splitlines()[-lines:])

    def stop(self) -> None:
        """Ask it to end, await that, and end by force what remains of its group."""
        with suppress(ProcessLookupError):
            if self.status is None:
                self._process.send_signal(self.program.stop)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self.program.stop_within)
        guard.end([(self.pid, signal.SIGKILL)], polite=0)
        self._process.wait()
        self._guard.forget(self.pid)


def _give_way(leader: int, niceness: int) -> None:
    """Lower the priority of a session whose first process has just begun."""
    with suppress(psutil.NoSuchProcess):
        psutil.Process(leader).nice(niceness)  # what it starts inherits it
    # By default Linux divides the processors between sessions first, and heeds the niceness of a
    # process only within its own (sched(7), "The autogroup feature").
    with suppress(OSError):
        Path(f"/proc/{leader}/autogroup").write_text(str(niceness))


class Children:
    """All children of one run, and the folder of their state, which no second run may share.

    Parameters
    ----------
    state : Path
        Holds ``logs/`` and what each child keeps.

    Raises
    ------
    MissingRequirement
        If another run uses the folder.
    """

    def __init__(self, state: Path) -> None:
        self.state = state.resolve()
        self.state.mkdir(parents=True, exist_ok=True)
        self._lock = (self.state / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            owner = self._lock.read().strip()
            raise MissingRequirement(
                f"Another run (process {owner}) uses {self.state}: end that one first, or choose "
                "another folder by RECOMMENDER_STATE."
            ) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        self._record = self.state / "children.json"
        self._end_leftovers()
        self._guard = guard.Guard()
        self._running: list[Child] = []
        self._noting = threading.Lock()  # services are ended side by side
        # A Ctrl-C in the main thread must not come between a start and its being noted.
        self._starter = ThreadPoolExecutor(max_workers=1)

    def start(self, program: Program) -> Child:
        """Start a program; its output goes to ``logs/<name>.log``."""
        return self._starter.submit(self._start, program).result()

    def _start(self, program: Program) -> Child:
        child = Child(program, self.state / "logs" / f"{program.name}.log", self._guard)
        with self._noting:
            self._running.append(child)
            self._write_record()
        return child

    def stop(self, child: Child) -> None:
        """End a child, politely first."""
        child.stop()
        self.forget(child)

    def forget(self, child: Child) -> None:
        """Take note that a child has ended."""
        with self._noting:
            if child in self._running:
                self._running.remove(child)
                self._write_record()

    def start_no_more(self) -> None:
        """Await what is being started at this moment, and refuse to start more."""
        self._starter.shutdown()

    def close(self) -> None:
        """End all, the last started first, and let go of the folder."""
        self.start_no_more()
        for child in reversed(self._running.copy()):
            self.stop(child)
        self._guard.close()
        self._lock.close()

    def _write_record(self) -> None:
        entries = []
        for child in self._running:
            with suppress(psutil.NoSuchProcess):
                entries.append([child.pid, psutil.Process(child.pid).create_time()])
        fresh = self._record.with_suffix(".new")
        fresh.write_text(json.dumps(entries))
        fresh.replace(self._record)

    def _end_leftovers(self) -> None:
        """End what a run left behind that was killed together with its guard."""
        leftovers = []
        with suppress(FileNotFoundError, ValueError):
            for pid, created in json.loads(self._record.read_text()):
                with suppress(psutil.NoSuchProcess):
                    if psutil.Process(pid).create_time() == created:
                        leftovers.append((pid, signal.SIGTERM))
        guard.end(leftovers)
        self._record.unlink(missing_ok=True)
