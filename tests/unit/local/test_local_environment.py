"""How a program finds the stack that runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from local.__main__ import app
from local.environment import exports, of_running
from local.processes import REPOSITORY, Children
from local.settings import LocalSettings
from local.stack import Content, Stack
from local.supervisor import Supervisor
from local.traffic import TrafficSettings
from modeler.java import Java
from recommender.errors import MissingRequirement
from recommender.settings import load

TOLD = {
    "RECOMMENDER_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "RECOMMENDER_POSTGRES_DSN": "postgresql://recommender:a'b$c d@127.0.0.1:2/recommender",
    "RECOMMENDER_REDIS_URL": "redis://127.0.0.1:3/0",
    "RECOMMENDER_INGEST_URL": "http://127.0.0.1:4",
    "RECOMMENDER_PREDICTOR_URL": "http://127.0.0.1:5",
}


@pytest.fixture
def service() -> Iterator[psutil.Process]:
    """A program of the kind of our services: ``python -m NAME``, told where things are."""
    environment = {**os.environ, **TOLD, "RECOMMENDER_RATING_MAX": "10"}
    command = [sys.executable, "-m", "timeit", "-n1", "-r1", "print(flush=True); input()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        assert process.stdout is not None
        # Popen returns while the kernel still sets up the program: /proc shows no command line yet.
        process.stdout.readline()
        yield psutil.Process(process.pid)
        process.communicate(b"\n")


def note(state: Path, *processes: tuple[int, float]) -> None:
    (state / "children.json").write_text(json.dumps(processes))


def test_it_is_what_a_running_service_was_told(tmp_path: Path, service: psutil.Process) -> None:
    note(tmp_path, (os.getpid(), 1.0), (service.pid, service.create_time()))
    assert of_running(tmp_path) == TOLD  # and no rating scale


def test_a_shell_reads_it_back_as_it_was() -> None:
    script = f'{exports(TOLD)}\nprintf %s "$RECOMMENDER_POSTGRES_DSN"'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout == TOLD["RECOMMENDER_POSTGRES_DSN"]


def test_a_process_that_only_has_the_number_of_a_service_is_not_believed(
    tmp_path: Path, service: psutil.Process
) -> None:
    note(tmp_path, (service.pid, service.create_time() - 60))
    with pytest.raises(MissingRequirement, match="Nothing runs on"):
        of_running(tmp_path)


@pytest.mark.parametrize("noted", [None, "[]", "half a fi"])
def test_where_nothing_runs_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noted: str | None
) -> None:
    monkeypatch.setenv("RECOMMENDER_STATE", str(tmp_path))
    if noted is not None:
        (tmp_path / "children.json").write_text(noted)
    answer = CliRunner().invoke(app, ["env"])
    assert answer.exit_code == 1
    assert answer.stdout == ""  # nothing for `eval`
    assert "make run" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_the_traffic_is_told_the_rate_and_the_folder_that_the_command_was_given(
    tmp_path: Path, java: Java, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECOMMENDER_RATE", raising=False)
    children = Children(tmp_path)
    supervisor = Supervisor(children, lambda _: None)
    settings = LocalSettings(state=tmp_path, rate=62.5)
    stack = Stack(settings, children, java, REPOSITORY, supervisor)
    monkeypatch.setattr(stack.postgres, "dsn", lambda: "postgresql://")
    for name, value in stack.environment(Content("by hand")).items():
        monkeypatch.setenv(name, value)
    told = load(TrafficSettings)
    assert (told.rate, told.state, told.ingest_url) == (62.5, tmp_path, stack.ingest_url)
    children.close()
