"""Starting and ending a service as an operator sees it: one sentence, a status, an orderly end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from local.processes import REPOSITORY

WITHIN = 60.0  # seconds; on a loaded machine the imports alone take some

SERVICE = """
import asyncio
from fastapi import APIRouter
from pydantic import Field
from service.app import create_app
from service.serve import serve
from service.settings import HttpSettings

class ExampleSettings(HttpSettings):
    example_port: int = Field(0, ge=0, le=65535)

    @property
    def address(self):
        return "127.0.0.1", self.example_port

router = APIRouter()
begun = asyncio.Event()

@router.get("/slow")
async def slow() -> str:
    begun.set()
    await asyncio.sleep(0.5)
    return "done"

@router.get("/begun")
async def has_begun() -> bool:
    await begun.wait()
    return True

@router.get("/people/{person}")
async def person(person: str) -> None:
    raise RuntimeError("unexpected")

serve(ExampleSettings, lambda settings: create_app("Example", settings, routers=[router]))
"""


def environment(**settings: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), **settings}


def run(**settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SERVICE],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=WITHIN,
    )


class Running:
    """The example service as a process, and what it logs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, object]] = []
        assert process.stderr is not None
        for line in process.stderr:
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] == "Application startup complete.":
                break
        (listening,) = [line for line in self.lines if line["event"] == "listening"]
        self.url = f"http://127.0.0.1:{listening['port']}"

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        _, rest = self.process.communicate(timeout=WITHIN)
        self.lines += [json.loads(line) for line in rest.splitlines()]
        return self.process.returncode


@contextmanager
def running(**settings: str) -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE],
        env=environment(**settings),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()


def test_a_wrong_setting_ends_it_with_one_sentence_that_names_it() -> None:
    done = run(RECOMMENDER_EXAMPLE_PORT="eighty")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "RECOMMENDER_EXAMPLE_PORT='eighty'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_ends_it_with_one_sentence_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(RECOMMENDER_EXAMPLE_PORT=str(port))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"127.0.0.1:{port} (Address already in use)" in done.stderr


def test_sigterm_lets_running_requests_end_and_is_success() -> None:
    with running() as service:
        answers: list[httpx.Response] = []
        asking = threading.Thread(
            target=lambda: answers.append(httpx.get(service.url + "/slow", timeout=WITHIN))
        )
        asking.start()
        assert httpx.get(service.url + "/begun", timeout=WITHIN).json() is True
        assert service.end() == 0
        asking.join(WITHIN)
    assert [answer.json() for answer in answers] == ["done"]


def test_logs_are_json_with_the_requests_id_and_without_who_it_was_about() -> None:
    with running(RECOMMENDER_LOG_LEVEL="debug") as service:
        headers = {"X-Request-ID": "this-one"}
        answer = httpx.get(
            service.url + "/people/jane.doe?q=jane.doe", headers=headers, timeout=WITHIN
        )
        assert answer.status_code == 500
        assert service.end() == 0
    of_request = [line for line in service.lines if line.get("request_id") == "this-one"]
    failed, asked = of_request
    assert failed["event"] == "unexpected exception"
    assert "RuntimeError: unexpected" in str(failed["exception"])
    assert (asked["event"], asked["route"], asked["status"]) == ("request", "/people/{person}", 500)
    assert all("jane.doe" not in json.dumps(line) for line in service.lines)
