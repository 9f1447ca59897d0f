"""The programs and definitions that the chart is tested with, pinned, kept in the state folder.

They come from the Go module proxy: helm is built from its own module (two to five minutes the first
time; Go's cache makes it seconds afterwards), definitions of foreign objects are files of theirs.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from local.settings import LocalSettings
from recommender.settings import load

REPOSITORY = Path(__file__).parents[2]
TOOLS = REPOSITORY / "deploy" / "tools"

_BUILD_WITHIN = 1200.0  # seconds; on two busy cores five minutes were seen
_FETCH_WITHIN = 300.0

# Module, version and checksum (h1, as in go.sum), and the file with the definition.
DEFINITIONS = {
    "Route": (
        "github.com/openshift/api@v0.0.0-20240124164020-e2ce40831f2e",
        "h1:cxgCNo/R769CO23AK5TCh45H9SMUGZ8RukiF2/Qif3o=",
        "route/v1/route.crd.yaml",
    ),
    "HTTPRoute": (
        "sigs.k8s.io/gateway-api@v1.7.0",
        "h1:duVnm7nO6oXfMMUWfcDoBph47CYR/ME3NGxccOVglaY=",
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    ),
    "ServiceMonitor": (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
    "PrometheusRule": (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
}


class NotToBeHad(Exception):
    """A tool cannot be had on this machine; the message says why."""


def state() -> Path:
    """Where tools are kept: below the folder of local runs, so that `make clean` removes them."""
    folder = load(LocalSettings).state / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Only one process prepares a tool; others wait."""
    with (state() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(command: list[str], within: float, **options: Any) -> str:
    """What a command says; its failure is the reason why a tool cannot be had."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=within, check=True, **options
        )
    except subprocess.TimeoutExpired:
        raise NotToBeHad(f"{command[:3]} took more than {within:g} s") from None
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines()
        raise NotToBeHad(f"{' '.join(command[:3])} failed: {lines[-1] if lines else ''}") from None
    return done.stdout


def go() -> str:
    """The Go toolchain."""
    found = shutil.which("go")
    if found is None:
        raise NotToBeHad("helm is built from its Go module, and there is no Go on this machine")
    return found


def go_environment() -> dict[str, str]:
    return {**os.environ, "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0", "GOTOOLCHAIN": "auto"}


@functools.cache
def helm() -> str:
    """Helm as pinned in deploy/tools/go.mod.

    Raises
    ------
    NotToBeHad
    """
    pinned = (TOOLS / "go.mod").read_text()
    binary, stamp = state() / "helm", state() / "helm.mod"
    with alone("helm"):
        if not (binary.exists() and stamp.exists() and stamp.read_text() == pinned):
            run(
                [
                    *[go(), "build", "-trimpath", "-ldflags=-s -w"],
                    *["-o", str(binary), "helm.sh/helm/v4/cmd/helm"],
                ],
                _BUILD_WITHIN,
                cwd=TOOLS,
                env=go_environment(),
            )
            stamp.write_text(pinned)
    return str(binary)


@functools.cache
def definition(kind: str) -> dict[str, Any]:
    """The JSON schema of a kind that Kubernetes itself does not have, from its CRD.

    Raises
    ------
    NotToBeHad
    """
    module, checksum, path = DEFINITIONS[kind]
    told = run(
        [go(), "mod", "download", "-json", module],
        _FETCH_WITHIN,
        cwd=state(),
        env={**go_environment(), "GOFLAGS": "-mod=mod", "GONOSUMDB": "*"},
    )
    fetched = json.loads(told)
    assert fetched["Sum"] == checksum, f"{module} is not what was pinned"
    crd = yaml.safe_load((Path(fetched["Dir"]) / path).read_text())
    version = next(one for one in crd["spec"]["versions"] if one["storage"])
    return closed(version["schema"]["openAPIV3Schema"])


def closed(schema: Any) -> Any:
    """The schema as an API server that prunes nothing would take it: unknown fields are errors."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: closed(part) for name, part in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    open_ = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not open_:
        schema["additionalProperties"] = False
    return schema


def checkov() -> str:
    """Checkov in an environment of its own, as requirements/checkov.txt pins it.

    Raises
    ------
    NotToBeHad
    """
    uv = REPOSITORY / ".venv" / "uv" / "bin" / "uv"
    if not uv.exists():
        raise NotToBeHad("there is no uv: run `make venv`")
    folder = state() / "checkov"
    pinned = REPOSITORY / "requirements" / "checkov.txt"
    stamp = folder / ".installed"
    with alone("checkov"):
        if not (stamp.exists() and stamp.read_text() == pinned.read_text()):
            python = REPOSITORY / ".venv" / "bin" / "python"
            run([str(uv), "venv", "-q", "--clear", "--python", str(python), str(folder)], 60)
            run(
                [
                    *[str(uv), "pip", "sync", "-q", "--require-hashes"],
                    *["--python", str(folder / "bin" / "python"), str(pinned)],
                ],
                _FETCH_WITHIN,
            )
            stamp.write_text(pinned.read_text())
    return str(folder / "bin" / "checkov")
