"""A predictor of several worker processes with one item side: real processes, stores and kills."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from local import ports
from predictor.shared_follower import LOCK
from tests.fakes.hand_model import USERS

ASKED = 20
"""Connections, one for each request: each goes to whichever worker takes it first."""

PATIENCE = 120  # seconds; imports alone take long where two cores have more to do


class Workers:
    """The processes, and what they answer."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.url = f"http://{ports.HOST}:{port}"

    def get(self, path: str) -> Any:
        """An answer, which must be one, over a new connection."""
        answer = httpx.get(self.url + path, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def asked(self, path: str) -> list[Any]:
        """Many answers, none of which may be an error."""
        return [self.get(path) for _ in range(ASKED)]

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=20).status_code == 200
        except httpx.TransportError:
            return False

    def metric(self, name: str) -> float:
        lines = httpx.get(f"{self.url}/metrics", timeout=20).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    @property
    def directory(self) -> Path | None:
        found = Path(tempfile.gettempdir()).glob(f"recommender-workers-{self.process.pid}-*")
        return next(found, None)

    def processes(self) -> list[psutil.Process]:
        """The workers; Python's own helper of `multiprocessing` is none."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.ZombieProcess):  # killed, and not taken notice of yet
                if "spawn_main" in " ".join(child.cmdline()):
                    found.append(child)
        return found

    def writer(self) -> psutil.Process:
        """The one that holds the lock, as Linux tells."""
        assert self.directory is not None
        inode = (self.directory / LOCK).stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            _, kind, _, _, pid, file, *_ = line.split()
            if kind == "FLOCK" and file.endswith(f":{inode}"):
                return psutil.Process(int(pid))
        raise AssertionError("nobody writes")


@contextmanager
def _started(environment: dict[str, str], log: Path) -> Iterator[Workers]:
    port = ports.free(1)[0]
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "predictor"],
            env={
                **os.environ,
                **environment,
                "RECOMMENDER_PREDICTOR_PORT": str(port),
                "RECOMMENDER_PREDICTOR_WORKERS": "2",
                "RECOMMENDER_REFRESH_SECONDS": "0.2",
            },
            stderr=written,
        )
    try:
        yield Workers(process, port)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()  # workers notice


@pytest.fixture
def patiently(eventually):
    """As `eventually`, for what new processes must be there for."""

    def wait(holds, what: str) -> None:
        for _ in range(PATIENCE // 10):
            try:
                eventually(holds, what)
            except pytest.fail.Exception:
                continue
            return
        pytest.fail(f"waited {PATIENCE} s in vain: {what}")

    return wait


def test_several_processes_serve_one_item_side_whatever_is_killed(
    writer, patiently, tmp_path: Path
) -> None:
    writer.hand_model()
    stores = {"RECOMMENDER_POSTGRES_DSN": writer.dsn, "RECOMMENDER_REDIS_URL": writer.url}

    with _started(stores, tmp_path / "log") as workers:
        patiently(workers.ready, "ready")
        patiently(lambda: workers.metric("recommender_workers") == 2, "both have the item side")
        loads = 'recommender_loads_total{extent="all"}'
        assert workers.metric(loads) == 1

        # One's own rating is in the next answer, whichever worker gives it; a new item is known.
        n, *rest = USERS["alice"][:3]
        row = (n + 1, *rest)
        writer.commit({"new": (3, 0.25, (0.5, 0.5))}, {"alice": row}, [("alice", "new", 4.0)])
        after = f"after=0:{writer.next_offset - 1}"
        for answer in workers.asked(f"/recommend?user=alice&{after}&include_rated=true&n=9"):
            assert answer["as_of"]["batch"] == writer.batch
            assert "new" in [one["item"] for one in answer["items"]]

        # The one that writes is killed: the other answers on, takes over, and gets a new one.
        killed = workers.writer()
        killed.kill()
        for answer in workers.asked("/recommend?user=bob&n=3"):
            assert answer["items"]
        writer.commit({"new": (9, 0.5, (0.5, 0.5))}, {"alice": row}, [("alice", "new", 5.0)])
        after = f"after=0:{writer.next_offset - 1}"
        patiently(lambda: workers.get("/items/new")["as_of"]["batch"] == writer.batch, "taken over")
        patiently(lambda: workers.metric("recommender_workers") == 2, "two again")
        assert workers.writer().pid != killed.pid
        for answer in workers.asked(f"/recommend?user=alice&{after}&n=3"):
            assert answer["items"]
            assert answer["as_of"]["batch"] == writer.batch
        assert {answer["stale"] for answer in workers.asked("/items/new")} == {False}

        # Another model: all of it at once, with no answer in between that is wrong or empty.
        second = type(writer)(writer.dsn, writer.url, model=2)
        second.create_model()
        second.learned = writer.learned
        second.commit({"new": (1, 1.0, (1.0, 0.0)), "b": (2, 0.0, (0.0, 1.0))}, {}, [])
        found: list[int] = []
        patiently(
            lambda: (
                found.extend(_model(answer) for answer in workers.asked("/recommend?user=bob&n=3"))
                or set(found[-ASKED:]) == {2}
            ),
            "the other model in every worker",
        )
        assert set(found) <= {1, 2}
        for one in workers.processes():
            maps = Path(f"/proc/{one.pid}/maps").read_text()
            assert "memfd:recommender" in maps  # shared, and without a name that could be left
            assert "/dev/shm/" not in maps
        # The first process is killed: nobody is left; what it leaves the next one removes.
        family, left = workers.processes(), workers.directory
        assert len(family) == 2
        workers.process.kill()
        _, alive = psutil.wait_procs(family, timeout=PATIENCE)
        assert not alive
        workers.process.wait(PATIENCE)
    assert left is not None
    assert left.exists()
    with _started(stores, tmp_path / "log") as workers:
        patiently(lambda: workers.directory is not None, "started again")
        own = workers.directory
        assert not left.exists()
    assert workers.process.returncode == 0
    assert own is not None
    assert not own.exists()


def _model(answer: Any) -> int:
    assert answer["items"], answer
    return int(answer["model"])
