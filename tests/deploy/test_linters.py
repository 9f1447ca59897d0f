"""yamllint, shellcheck, hadolint and checkov have nothing to say about deploy/."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.deploy import tools
from tests.deploy.cases import CASES
from tests.deploy.chart import CHART, Rendered
from tests.deploy.tools import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
BIN = Path(sys.executable).parent

# What checkov finds wrong on purpose, with the reason.
ACCEPTED = {
    "CKV_K8S_14": "tags: the operator chooses; image.webDigest and image.modelerDigest pin",
    "CKV_K8S_43": "digests: as above",
    "CKV_K8S_15": "pull policy: IfNotPresent, since tags are versions and are not moved",
    "CKV_K8S_11": "CPU limits throttle a modeler in the middle of a micro-batch; a value sets them",
    "CKV_K8S_40": "user ids: OpenShift assigns them from the namespace's range, none may be fixed",
    "CKV_K8S_35": "secrets as environment: libpq and the settings read them there",
    "CKV_K8S_38": "account tokens: automounted for Spark's driver only, and only with executors",
    "CKV_K8S_8": "liveness: the jobs have none, they end",
    "CKV_K8S_9": "readiness: as above",
}


def said(*command: str | Path) -> str:
    done = subprocess.run(
        [str(one) for one in command], capture_output=True, text=True, timeout=300, cwd=REPOSITORY
    )
    return done.stdout + done.stderr if done.returncode else ""


def test_yaml_is_clean() -> None:
    files = [
        path
        for path in sorted(DEPLOY.rglob("*.y*ml"))
        if CHART / "templates" not in path.parents  # Go templates; what they make is tested below
    ]
    assert len(files) > 6
    assert said(BIN / "yamllint", "--strict", "-c", DEPLOY / ".yamllint.yaml", *files) == ""


@pytest.mark.parametrize("case", ["dev with executors", "everything"])
def test_what_the_chart_makes_is_clean(case: str, helm: str, tmp_path: Path) -> None:
    rendered = subprocess.run(
        [helm, "template", "shop", str(CHART), "--values", "-"],
        input=json.dumps(CASES[case]),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    path = tmp_path / "rendered.yaml"
    path.write_text(rendered)
    assert said(BIN / "yamllint", "--strict", "-c", DEPLOY / ".yamllint-rendered.yaml", path) == ""


def test_shell_is_clean() -> None:
    files = [*sorted(DEPLOY.rglob("*.sh")), REPOSITORY / ".ci" / "run"]
    assert len(files) >= 4
    assert said(BIN / "shellcheck", *files) == ""


def test_the_dockerfile_is_clean() -> None:
    assert said(BIN / "hadolint", DEPLOY / "images" / "Dockerfile") == ""


def test_the_dockerfile_s_linter_works(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("FROM debian\nRUN cd /tmp && sudo apt-get install curl\n")
    assert "DL3004" in said(BIN / "hadolint", path)


@pytest.mark.parametrize("case", ["dev", "everything"])
def test_checkov_finds_nothing_but_what_is_meant(
    case: str, chart: Callable[..., Rendered], tmp_path: Path
) -> None:
    try:
        checkov = tools.checkov()
    except tools.NotToBeHad as reason:
        pytest.skip(str(reason))
    objects = chart(CASES[case]).objects
    for one in objects:  # Helm gives it when it installs
        one["metadata"]["namespace"] = "films"
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(objects))
    done = subprocess.run(
        [
            *[checkov, "--directory", str(tmp_path), "--framework", "kubernetes"],
            *["--output", "json", "--skip-download", "--quiet", "--compact"],
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    found = json.loads(done.stdout)
    assert found["summary"]["passed"] > 300
    failed = {
        f"{one['check_id']} {one['check_name']}: {one['resource']}"
        for one in found["results"]["failed_checks"]
        if one["check_id"] not in ACCEPTED
    }
    assert failed == set()
