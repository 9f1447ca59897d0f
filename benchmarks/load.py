"""A closed loop of HTTP requests by wrk, a compiled load generator, and its yardstick.

How many requests a second a service answers says as much about the machine as about the service. So
each figure comes with that of a route of the same server that does nothing, asked by the same
generator in turns with the one in question; with that of a FastAPI application which has nothing
but such a route, to show what the server itself costs; and with that of a server which is hardly
more than a socket, to show that the generator could have asked for more.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any

import typer

from benchmarks.with_no_op import PATH as NO_OP
from local import ports
from local.processes import Child, Children, Program
from local.stack import is_well
from recommender.errors import MissingRequirement, RecommenderError

_SCRIPT = Path(__file__).with_name("load.lua")

CONNECTIONS = 8
"""Clients that each wait for one answer before they ask again: enough that a worker always has the
next request at hand, few enough that they do not measure their own queue."""

Seconds = Annotated[int, typer.Option(min=1, help="Seconds of each turn.")]
Connections = Annotated[int, typer.Option(min=1, help="Clients.")]

ROUNDS = 3
"""Turns of service and yardsticks; the middle rate counts."""

_WARM_UP = 2.0  # seconds: connections to the stores, caches
_READY_WITHIN = 60.0


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes
    ----------
    path : str
    body : bytes or None
        Without line breaks and tabs; None: a `GET`, else a `POST`.
    content_type : str
        Of the body.
    """

    path: str
    body: bytes | None = None
    content_type: str = "application/json"

    @property
    def line(self) -> str:
        """As ``load.lua`` reads it."""
        if self.body is None:
            return f"GET\t{self.path}"
        return f"POST\t{self.path}\t{self.content_type}\t{self.body.decode()}"


@dataclass(frozen=True)
class Answered:
    """What a closed loop saw.

    Attributes
    ----------
    rate : float
        Answers a second.
    p50, p99 : float
        Milliseconds from a request to the end of its answer.
    """

    rate: float
    p50: float
    p99: float


def ask(
    url: str,
    requests: Iterable[Request],
    seconds: float,
    connections: int = CONNECTIONS,
    threads: int = 1,
) -> Answered:
    """Send requests in turn, over and over, for some seconds.

    Raises
    ------
    MissingRequirement
        Where wrk is not installed.
    RecommenderError
        If any answer was an error, or none came.
    """
    program = shutil.which("wrk")
    if program is None:
        raise MissingRequirement("wrk is needed to measure services: apt-get install wrk")
    with NamedTemporaryFile("w", suffix=".tsv") as prepared:
        prepared.write("\n".join(request.line for request in requests))
        prepared.flush()
        command = [program, "-t", str(threads), "-c", str(connections), "-d", f"{seconds:.0f}s"]
        command += ["--timeout", "10s", "-s", str(_SCRIPT), url, "--", prepared.name]
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 60, check=False
        )
    if ran.returncode:
        raise RecommenderError(f"wrk failed: {ran.stderr.strip() or ran.stdout.strip()}")
    found = json.loads(ran.stdout.strip().splitlines()[-1])
    if found["failed"] or not found["requests"]:
        raise RecommenderError(f"{found['failed']} of {found['requests']} requests to {url} failed")
    return Answered(found["requests"] / found["seconds"], found["p50"], found["p99"])


@dataclass(frozen=True)
class Yardsticks:
    """Servers to compare with, on free ports.

    Attributes
    ----------
    plain : str
        URL of a FastAPI application without any middleware, whose only route does nothing.
    bare : str
        URL of a server that parses nothing and answers the same to whatever comes.
    """

    plain: str
    bare: str


def start_yardsticks(children: Children, workers: int = 1) -> Yardsticks:
    """Start them and wait until they answer."""
    urls = []
    for kind, port in zip(("plain", "bare"), ports.free(2), strict=True):
        child = children.start(
            Program(
                name=kind,
                command=[sys.executable, "-m", "benchmarks.no_op", kind, str(port), str(workers)],
                environment={},
            )
        )
        urls.append(url := f"http://{ports.HOST}:{port}")
        await_live(child, url)
    return Yardsticks(*urls)


def await_live(child: Child, url: str) -> None:
    """Wait until a service answers."""
    child.await_ready(lambda: is_well(url, "live"), _READY_WITHIN)


def compared(
    url: str,
    requests: Sequence[Request],
    yardsticks: Yardsticks,
    seconds: float,
    connections: int = CONNECTIONS,
    threads: int = 1,
) -> dict[str, Any]:
    """Rates of a service and of the yardsticks, asked in turns; figures of the middle rate.

    The service must have been started by `benchmarks.with_no_op`.
    """
    nothing = [Request(NO_OP)]
    asked = [(url, requests), (url, nothing), (yardsticks.plain, nothing)]
    for where, what in asked:
        ask(where, what, _WARM_UP, connections, threads)
    rounds = [
        [ask(where, what, seconds, connections, threads) for where, what in asked]
        for _ in range(ROUNDS)
    ]
    bare = ask(yardsticks.bare, nothing, seconds, connections, threads)
    service, no_op, plain = (
        sorted(answered, key=lambda one: one.rate)[ROUNDS // 2]
        for answered in zip(*rounds, strict=True)
    )
    return {
        "requests_per_second": service.rate,
        "p50_milliseconds": service.p50,
        "p99_milliseconds": statistics.median(turn[0].p99 for turn in rounds),
        "no_op_requests_per_second": no_op.rate,
        "no_op_p99_milliseconds": no_op.p99,
        "ratio_to_no_op": service.rate / no_op.rate,
        "plain_app_requests_per_second": plain.rate,
        "ratio_to_plain_app": service.rate / plain.rate,
        "load_generator_requests_per_second": bare.rate,
        "connections": connections,
    }
