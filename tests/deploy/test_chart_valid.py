"""Whatever the values, Helm and Kubernetes take what the chart makes."""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.deploy import tools
from tests.deploy.cases import CASES
from tests.deploy.chart import CHART, LOADER, Object, Rendered, one_name, pods

# The oldest that the chart claims (kubeVersion), one between, and the newest with schemas.
VERSIONS = ("1.32", "1.35", "1.37")


@functools.cache
def registry(version: str) -> tuple[Any, Registry[Any]]:
    """The folder of a version's strict schemas, and their common definitions."""
    schemas = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema"
    folder = schemas / f"v{version}.0-local-strict"
    definitions = json.loads((folder / "_definitions.json").read_text())
    resource = Resource.from_contents(definitions, default_specification=DRAFT202012)
    return folder, Registry().with_resource("_definitions.json", resource).crawl()


@functools.cache
def validator(version: str, api: str, kind: str) -> jsonschema.Draft202012Validator:
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)
    folder, definitions = registry(version)
    schema = json.loads((folder / f"{kind.lower()}-{group}.json").read_text())
    return jsonschema.Draft202012Validator(schema, registry=definitions)


@functools.cache
def foreign(kind: str) -> jsonschema.Draft202012Validator:
    """For kinds that operators or OpenShift bring."""
    return jsonschema.Draft202012Validator(tools.definition(kind))


def faults(one: Object, version: str) -> list[str]:
    """What is wrong with an object, by the schemas of one version of Kubernetes."""
    kind = one["kind"]
    if kind in tools.DEFINITIONS:
        checked = foreign(kind)
    else:
        checked = validator(version, one["apiVersion"], kind)
    where = f"{kind}/{one_name(one)}"
    return [f"{where}: {error.json_path}: {error.message}" for error in checked.iter_errors(one)]


@pytest.mark.parametrize("case", CASES)
def test_kubernetes_takes_every_object(case: str, chart: Callable[..., Rendered]) -> None:
    rendered = chart(CASES[case])
    try:
        for kind in {one["kind"] for one in rendered.objects} & set(tools.DEFINITIONS):
            tools.definition(kind)
    except tools.NotToBeHad as reason:
        pytest.skip(str(reason))
    objects = list(rendered.objects)
    objects += [pod for named, pod in pods(rendered) if named.endswith("executor.yaml")]
    for one in objects:
        one["metadata"].setdefault("name", "executor")
    found = [fault for version in VERSIONS for one in objects for fault in faults(one, version)]
    assert not found


def test_the_schemas_find_a_misspelt_field(chart: Callable[..., Rendered]) -> None:
    rendered = chart(CASES["ingress"])
    deployment = rendered.get("Deployment", "shop-ingest")
    deployment["spec"]["replica"] = 3
    ingress = rendered.get("Ingress", "shop")
    ingress["spec"]["rules"][0]["http"]["paths"][0]["pathType"] = 7
    for version in VERSIONS:
        assert "replica" in faults(deployment, version)[0]
        assert "pathType" in faults(ingress, version)[0]


def test_the_definition_of_a_route_finds_a_misspelt_field(chart: Callable[..., Rendered]) -> None:
    route = chart(CASES["route"]).get("Route", "shop-frontend")
    route["spec"]["tls"]["terminaton"] = "edge"
    try:
        found = faults(route, VERSIONS[-1])
    except tools.NotToBeHad as reason:
        pytest.skip(str(reason))
    assert "terminaton" in found[0]


@pytest.mark.parametrize("case", CASES)
def test_names_are_unique(case: str, chart: Callable[..., Rendered]) -> None:
    rendered = chart(CASES[case])
    assert len(rendered.names) == len(rendered.objects)


@pytest.mark.parametrize("case", ["least", "dev", "everything"])
def test_helm_lint_is_strict_and_content(case: str, helm: str) -> None:
    done = subprocess.run(
        [helm, "lint", "--strict", str(CHART), "--values", "-"],
        input=json.dumps(CASES[case]),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout
    assert "[ERROR]" not in done.stdout


def test_the_chart_claims_the_oldest_version_that_is_validated() -> None:
    claimed = yaml.load((CHART / "Chart.yaml").read_text(), LOADER)["kubeVersion"]
    assert claimed == f">={VERSIONS[0]}.0-0"
