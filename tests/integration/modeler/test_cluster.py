"""The modeler with executors that are processes of their own, as on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from local import ports
from tests.integration.modeler.conftest import Modeler, some_ratings


def spark_home() -> str:
    found = find_spec("pyspark")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parent)


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=2).is_success
    except httpx.TransportError:
        return False


def test_executors_of_their_own_learn_and_the_modeler_says_how_it_is(
    make_modeler: Callable[..., Modeler], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two executors, 1 GiB each; readiness, lag and an orderly end after SIGTERM."""
    monkeypatch.setenv("SPARK_HOME", spark_home())
    (port,) = ports.free(1)
    modeler = make_modeler(spark_master="local-cluster[2,1,1024]", modeler_metrics_port=port)
    url = f"http://127.0.0.1:{port}"
    modeler.send(some_ratings(3000, seed=8))
    modeler.start()
    assert modeler.process is not None

    modeler.wait_for(lambda: ready(url), "readiness")
    assert modeler.await_learned(3000).agree
    assert executors(modeler.process.pid) == 2
    modeler.wait_for(lambda: "modeler_records_behind 0.0" in metrics(url), "no lag")
    assert "modeler_ratings_total 3000.0" in metrics(url)

    modeler.stop()
    assert modeler.process.returncode == 0
    assert modeler.sums().agree


def metrics(url: str) -> str:
    return httpx.get(f"{url}/metrics").text


def executors(driver: int) -> int:
    """Java processes that are executors of this driver."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if b"CoarseGrainedExecutorBackend" in command and is_below(int(process.name), driver):
            found += 1
    return found


def is_below(process: int, ancestor: int) -> bool:
    while process > 1:
        if process == ancestor:
            return True
        try:
            stat = Path(f"/proc/{process}/stat").read_text()
        except OSError:  # it has ended meanwhile
            return False
        process = int(stat.rpartition(")")[2].split()[1])
    return process == ancestor
