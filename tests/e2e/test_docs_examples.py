"""The examples of README.md and docs/api.md, run as they stand against the running product."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.processes import REPOSITORY

WITHIN = 90.0  # seconds
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def examples(page: str) -> list[tuple[str, str]]:
    """Language and text of each example that speaks to a service, in the page's order."""
    blocks: list[tuple[str, str]] = BLOCK.findall((REPOSITORY / page).read_text())
    return [
        (language, text) for language, text in blocks if text.startswith("curl ") or "httpx" in text
    ]


def run(language: str, example: str, stack: Any, folder: Path) -> str:
    """What an example prints; it fails where a service answers with an error."""
    for documented, running in (
        ("http://127.0.0.1:8081", stack.ingest_url),
        ("http://127.0.0.1:8082", stack.predictor_url),
    ):
        example = example.replace(documented, running)
    if language == "sh":
        # One answer to a line, so that the test can read them.
        example = example.replace("curl ", "curl --silent --show-error --fail -w '\\n' ")
        example = f"set -eu\n{example}"
    script = folder / "example"
    script.write_text(example)
    done = subprocess.run(
        [sys.executable if language == "python" else "sh", str(script)],
        timeout=WITHIN,
        env={**os.environ, "NO_PROXY": "*", "no_proxy": "*"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{example}\n{done.stderr}"
    return done.stdout


def answers(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


def await_item(stack: Any, item: str) -> None:
    """Until the predictor knows a catalogue entry; examples follow one another faster."""
    deadline = time.monotonic() + WITHIN
    while httpx.get(f"{stack.predictor_url}/items/{item}", timeout=30).status_code != 200:
        assert time.monotonic() < deadline, f"item {item} was not learned within {WITHIN:g} s"
        time.sleep(0.05)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_of_the_api_do_what_they_say(stack: Any, tmp_path: Path) -> None:
    found = examples("docs/api.md")
    assert {language for language, _ in found} == {"sh", "python"}
    accepted = 0
    for language, example in found:
        if "/items/318'" in example:
            await_item(stack, "318")
        printed = run(language, example, stack, tmp_path)
        if language == "sh":
            for answer in answers(printed):
                accepted += answer.get("accepted", 0)
                # What is told of all models has no model of its own; ingest knows of none.
                told_of_all = answer.keys() & {"models", "race"}
                wanted = {"as_of"} if told_of_all else {"model", "as_of"}
                assert "records" in answer or wanted <= answer.keys()
    assert accepted == 3 + 2 + 2  # ratings, withdrawals, catalogue entries
    ratings = httpx.get(f"{stack.predictor_url}/users/u1/ratings", timeout=30).json()["items"]
    scores = {rated["item"]: rated["score"] for rated in ratings}
    assert (scores["318"], scores["50"]) == (4.5, 5.0)
    described = httpx.get(f"{stack.predictor_url}/items/318", timeout=30).json()
    assert described["title"] == "The Shawshank Redemption (1994)"
    assert described["attributes"]["genres"] == ["Crime", "Drama"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_of_the_readme_do_what_they_say(stack: Any, tmp_path: Path) -> None:
    found = examples("README.md")
    assert found
    for language, example in found:
        posted, recommended = answers(run(language, example, stack, tmp_path))
        assert posted["accepted"] == 3
        assert len(recommended["items"]) == 5
    place = posted["records"][-1]
    after = f"{place['partition']}:{place['offset']}"
    learned = httpx.get(
        f"{stack.predictor_url}/recommend", params={"user": "me", "after": after}, timeout=30
    ).json()
    assert learned["source"] == "model"
    assert not {"318", "858", "2571"} & {item["item"] for item in learned["items"]}
