"""The smoke test, against the running product and against one that is broken."""

from __future__ import annotations

import re
import subprocess
import sys

import httpx
import pytest

from tests.conftest import RunningStack
from tests.deploy.tools import REPOSITORY

SMOKE = REPOSITORY / "deploy" / "smoke.py"


def smoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    # -I: nothing of the repository or of the environment; it must get by with Python alone.
    return subprocess.run(
        [sys.executable, "-I", str(SMOKE), *arguments],
        capture_output=True,
        text=True,
        timeout=180,
    )


def test_all_is_well_with_the_running_product(stack: RunningStack) -> None:
    done = smoke(
        f"--frontend={stack.frontend_url}",
        f"--ingest={stack.ingest_url}",
        f"--predictor={stack.predictor_url}",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all is well\n")
    (rated,) = re.findall(r"ok    (smoke-\w+) rates (\S+)", done.stdout)
    user, item = rated
    kept = httpx.get(f"{stack.predictor_url}/users/{user}/ratings").json()["items"]
    assert [one["item"] for one in kept] == [item]


def test_what_does_not_answer_is_named(stack: RunningStack) -> None:
    done = smoke("--ingest=http://127.0.0.1:9", f"--predictor={stack.predictor_url}", "--timeout=1")
    assert done.returncode == 1
    assert "ingest is ready: not within 1 s" in done.stderr
    assert "http://127.0.0.1:9/health/ready does not answer" in done.stderr


def test_a_wrong_service_is_found(stack: RunningStack) -> None:
    """The predictor takes no ratings: posting one to it fails, with what it answered."""
    done = smoke(
        f"--ingest={stack.predictor_url}", f"--predictor={stack.predictor_url}", "--timeout=1"
    )
    assert done.returncode == 1
    assert re.search(r"smoke-\w+ rates .*answered 404", done.stderr)


@pytest.mark.parametrize("arguments", [[], ["--ingest=http://127.0.0.1:1"]])
def test_addresses_must_be_named(arguments: list[str]) -> None:
    done = smoke(*arguments)
    assert done.returncode == 2
    assert "name --frontend, or both --ingest and --predictor" in done.stderr
