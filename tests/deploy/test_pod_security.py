"""Every pod passes Pod Security "restricted" without exceptions, and is a good guest."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.deploy.cases import CASES
from tests.deploy.chart import Object, Rendered, pods

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def containers(spec: Object) -> Iterator[Object]:
    for part in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(part, [])


def effective(spec: Object, container: Object, field: str) -> Any:
    """A container's own security setting, else that of its pod."""
    own = container.get("securityContext", {})
    return own.get(field, spec.get("securityContext", {}).get(field))


def violations(spec: Object) -> list[str]:
    """What in a pod Pod Security "restricted" (with "baseline", which it includes) refuses."""
    found = [
        field for field in ("hostNetwork", "hostPID", "hostIPC", "hostUsers") if spec.get(field)
    ]
    if spec.get("securityContext", {}).get("sysctls"):
        found.append("sysctls")
    for volume in spec.get("volumes", []):
        found += [f"volume {kind}" for kind in set(volume) - {"name"} - VOLUMES]
    for container in containers(spec):
        own = container.get("securityContext", {})
        capabilities = own.get("capabilities", {})
        checks = {
            "privileged": own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is not False,
            "runAsNonRoot": effective(spec, container, "runAsNonRoot") is not True,
            "runAsUser 0": effective(spec, container, "runAsUser") == 0,
            "capabilities.drop": "ALL" not in capabilities.get("drop", []),
            "capabilities.add": set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"},
            "procMount": own.get("procMount", "Default") != "Default",
            "seccompProfile": (effective(spec, container, "seccompProfile") or {}).get("type")
            not in ("RuntimeDefault", "Localhost"),
            "hostPort": any(port.get("hostPort") for port in container.get("ports", [])),
        }
        found += [f"{container['name']}: {name}" for name, wrong in checks.items() if wrong]
    return found


def fixed_identities(spec: Object) -> list[str]:
    """Users and groups that a pod insists on; OpenShift's restricted-v2 refuses foreign ones."""
    fields = ("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "seLinuxOptions")
    contexts = [spec.get("securityContext", {})]
    contexts += [one.get("securityContext", {}) for one in containers(spec)]
    return [field for context in contexts for field in fields if field in context]


def shortcomings(spec: Object, probed: bool) -> list[str]:
    """What a pod lacks that a shared cluster expects of it."""
    found = []
    mounted = {volume["name"]: volume for volume in spec.get("volumes", [])}
    if spec.get("enableServiceLinks") is not False:
        found.append("enableServiceLinks")
    for container in containers(spec):
        resources = container.get("resources", {})
        found += [
            f"no {kind} of {name}"
            for kind, name in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory"))
            if name not in resources.get(kind, {})
        ]
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            found.append("root can be written")
        mounts = {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", [])}
        scratch = mounted.get(mounts.get("/tmp", ""), {})
        if "sizeLimit" not in scratch.get("emptyDir", {}):
            found.append("/tmp cannot be written, or without bound")
        if probed:
            probes = ("startupProbe", "livenessProbe", "readinessProbe")
            found += [f"no {probe}" for probe in probes if probe not in container]
    return found


def all_pods(case: str, chart: Callable[..., Rendered]) -> list[tuple[str, Object]]:
    found = [(named, pod["spec"]) for named, pod in pods(chart(CASES[case]))]
    assert found
    return found


@pytest.mark.parametrize("case", CASES)
def test_every_pod_is_restricted(case: str, chart: Callable[..., Rendered]) -> None:
    wrong = {named: violations(spec) for named, spec in all_pods(case, chart)}
    assert {named: found for named, found in wrong.items() if found} == {}


@pytest.mark.parametrize("case", sorted(set(CASES) - {"dev with executors"}))
def test_no_user_or_group_is_fixed(case: str, chart: Callable[..., Rendered]) -> None:
    wrong = {named: fixed_identities(spec) for named, spec in all_pods(case, chart)}
    assert {named: found for named, found in wrong.items() if found} == {}


def test_a_group_of_volumes_is_set_only_by_its_value(chart: Callable[..., Rendered]) -> None:
    for _, spec in all_pods("dev with executors", chart):
        assert fixed_identities(spec) == ["fsGroup"]
        assert spec["securityContext"]["fsGroup"] == 10001


@pytest.mark.parametrize("case", CASES)
def test_every_pod_is_a_good_guest(case: str, chart: Callable[..., Rendered]) -> None:
    wrong = {
        # Spark sets the resources of its executors itself, from the configuration.
        named: [
            fault
            for fault in shortcomings(spec, named.startswith(("Deployment", "StatefulSet")))
            if not (named.endswith("executor.yaml") and fault.startswith("no "))
        ]
        for named, spec in all_pods(case, chart)
    }
    assert {named: found for named, found in wrong.items() if found} == {}


@pytest.mark.parametrize("case", CASES)
def test_only_the_driver_may_speak_to_the_cluster(
    case: str, chart: Callable[..., Rendered]
) -> None:
    for named, spec in all_pods(case, chart):
        distributed = any("executor.yaml" in other for other, _ in all_pods(case, chart))
        allowed = distributed and named.endswith("-modeler")
        assert spec["automountServiceAccountToken"] is allowed, named


def changed(spec: Object, path: str, value: Any) -> Object:
    spec = copy.deepcopy(spec)
    *parents, last = path.split(".")
    place: Any = spec
    for name in parents:
        place = place[int(name)] if name.isdigit() else place.setdefault(name, {})
    place[last] = value
    return spec


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("hostNetwork", True, "hostNetwork"),
        ("securityContext.runAsNonRoot", False, None),  # each container says so itself
        ("securityContext.seccompProfile", {"type": "Unconfined"}, "ingest: seccompProfile"),
        ("containers.0.securityContext.runAsNonRoot", False, "ingest: runAsNonRoot"),
        ("containers.0.securityContext.runAsUser", 0, "ingest: runAsUser 0"),
        ("containers.0.securityContext.privileged", True, "ingest: privileged"),
        ("containers.0.securityContext.capabilities", {"drop": []}, "ingest: capabilities.drop"),
        (
            "containers.0.securityContext.capabilities",
            {"drop": ["ALL"], "add": ["NET_ADMIN"]},
            "ingest: capabilities.add",
        ),
        (
            "containers.0.securityContext.allowPrivilegeEscalation",
            True,
            "ingest: allowPrivilegeEscalation",
        ),
        ("volumes", [{"name": "x", "hostPath": {"path": "/"}}], "volume hostPath"),
    ],
)
def test_the_policy_finds_what_it_is_for(
    path: str, value: Any, complaint: str | None, chart: Callable[..., Rendered]
) -> None:
    spec = dict(pods(chart(CASES["least"])))["Deployment/shop-ingest"]["spec"]
    assert violations(spec) == []
    assert violations(changed(spec, path, value)) == ([complaint] if complaint else [])
