"""Rendering the chart, and finding things in what comes out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tests.deploy.tools import REPOSITORY

CHART = REPOSITORY / "deploy" / "helm" / "recommender"

# The same without libyaml where that is missing; it only takes longer.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

STORES: dict[str, Any] = {
    "kafka": {"bootstrapServers": "kafka.stores:9092"},
    "postgres": {"existingSecret": "database"},
    "redis": {"url": "redis://valkey.stores:6379/0"},
}
"""The least that an installation with stores of its own must say."""

DEV: dict[str, Any] = {"dev": {"enabled": True}}

Object = dict[str, Any]


class Refused(Exception):
    """Helm does not take the values; the message is what it says."""


def merged(*values: dict[str, Any]) -> dict[str, Any]:
    """Values put together; later ones go before."""
    result: dict[str, Any] = {}
    for one in values:
        for name, value in one.items():
            known = result.get(name)
            both = isinstance(value, dict) and isinstance(known, dict)
            result[name] = merged(known, value) if both else value
    return result


@dataclass(frozen=True)
class Rendered:
    """What the chart makes of some values."""

    objects: list[Object]

    def get(self, kind: str, name: str) -> Object:
        """One object; an AssertionError names those that are there."""
        found = [one for one in self.objects if one["kind"] == kind and one_name(one) == name]
        assert len(found) == 1, f"no {kind} {name}: {sorted(self.names)}"
        return found[0]

    def of(self, kind: str) -> list[Object]:
        return [one for one in self.objects if one["kind"] == kind]

    @property
    def names(self) -> set[tuple[str, str]]:
        """Kind and name of each object."""
        return {(one["kind"], one_name(one)) for one in self.objects}


def one_name(one: Object) -> str:
    return str(one["metadata"]["name"])


def render(helm: str, *values: dict[str, Any], options: tuple[str, ...] = ()) -> Rendered:
    """``helm template``, release ``shop`` in the namespace ``films``.

    Raises
    ------
    Refused
        If Helm refuses.
    """
    done = subprocess.run(
        [helm, "template", "shop", str(CHART), "--namespace", "films", "--values", "-", *options],
        input=json.dumps(merged(*values)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise Refused(done.stderr)
    return Rendered([one for one in yaml.load_all(done.stdout, LOADER) if one])


def pods(rendered: Rendered) -> Iterator[tuple[str, Object]]:
    """Every pod that comes of the objects: what makes it, its metadata and spec.

    Executors, which Spark makes from the template in a ConfigMap, among them.
    """
    for one in rendered.objects:
        named = f"{one['kind']}/{one_name(one)}"
        if one["kind"] == "Pod":
            yield named, one
        elif one["kind"] == "CronJob":
            yield named, one["spec"]["jobTemplate"]["spec"]["template"]
        elif one["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield named, one["spec"]["template"]
        elif one["kind"] == "ConfigMap" and "executor.yaml" in one["data"]:
            yield f"{named}/executor.yaml", yaml.load(one["data"]["executor.yaml"], LOADER)


def environment(pod: Object) -> dict[str, Any]:
    """Environment of a pod's first container: value, or where it comes from."""
    variables = pod["spec"]["containers"][0].get("env", [])
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in variables}
