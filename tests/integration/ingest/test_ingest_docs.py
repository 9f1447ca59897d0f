"""The examples of docs/api.md about ingest, run as they stand against the service."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from local.processes import REPOSITORY
from storage.settings import KafkaSettings
from storage.topics import create_topics, end_offsets

SECTION = (REPOSITORY / "docs" / "api.md").read_text().partition("## Ingest")[2]
DOCUMENTED = "http://127.0.0.1:8081"
WITHIN = 60.0  # seconds


def examples(language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    assert found
    return found


@pytest.mark.parametrize(("language", "ratings", "items"), [("sh", 3, 2), ("python", 1, 100)])
def test_examples_do_what_they_say(
    ingest: httpx.Client,
    settings: KafkaSettings,
    tmp_path: Path,
    language: str,
    ratings: int,
    items: int,
) -> None:
    if language == "sh" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    create_topics(settings)
    for number, example in enumerate(examples(language)):
        script = tmp_path / f"example{number}"
        here = example.replace(DOCUMENTED, str(ingest.base_url).rstrip("/"))
        if language == "sh":
            here = here.replace("curl ", "curl --silent --show-error --fail --noproxy '*' ")
        script.write_text(here)
        subprocess.run(
            [sys.executable if language == "python" else "sh", str(script)],
            check=True,
            timeout=WITHIN,
            env={**os.environ, "NO_PROXY": "*"},
        )
    assert sum(end_offsets(settings, settings.ratings_topic).values()) == ratings
    assert sum(end_offsets(settings, settings.items_topic).values()) == items
