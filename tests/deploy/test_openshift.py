"""OpenShift's own ways: the values for it, and the template that builds the images there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

from tests.deploy.chart import LOADER, STORES, Rendered, pods
from tests.deploy.tools import REPOSITORY

OPENSHIFT = REPOSITORY / "deploy" / "openshift"
DOCKERFILE = (REPOSITORY / "deploy" / "images" / "Dockerfile").read_text()


def template() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((OPENSHIFT / "build.yaml").read_text(), LOADER)
    return found


def of(kind: str) -> dict[str, dict[str, Any]]:
    return {
        one["metadata"]["name"]: one["spec"] for one in template()["objects"] if one["kind"] == kind
    }


def test_the_values_make_routes_that_only_the_router_reaches(
    chart: Callable[..., Rendered],
) -> None:
    values = yaml.load((OPENSHIFT / "values.yaml").read_text(), LOADER)
    rendered = chart(STORES, values, {"exposure": {"host": "films.apps.test"}})
    (route,) = rendered.of("Route")
    assert route["metadata"]["annotations"] == {"haproxy.router.openshift.io/timeout": "1h"}
    policy = rendered.get("NetworkPolicy", "shop-frontend")["spec"]
    peers = [peer for rule in policy["ingress"] for peer in rule["from"]]
    labels = {"network.openshift.io/policy-group": "ingress"}
    assert {"namespaceSelector": {"matchLabels": labels}} in peers


def test_every_pod_takes_the_user_that_the_namespace_assigns(
    chart: Callable[..., Rendered],
) -> None:
    values = yaml.load((OPENSHIFT / "values.yaml").read_text(), LOADER)
    rendered = chart(STORES, values, {"exposure": {"host": "films.apps.test"}})
    for named, pod in pods(rendered):
        text = yaml.safe_dump(pod["spec"])
        assert not re.search(r"runAsUser|fsGroup|runAsGroup|seLinux", text), named


def test_a_stream_for_each_build_and_a_build_for_each_image() -> None:
    builds = of("BuildConfig")
    assert set(builds) == set(of("ImageStream")) == {"recommender-web", "recommender-modeler"}
    for name, spec in builds.items():
        assert spec["output"]["to"]["name"] == f"{name}:${{VERSION}}"
        strategy = spec["strategy"]["dockerStrategy"]
        assert (REPOSITORY / strategy["dockerfilePath"]).exists()
        target = next(one["value"] for one in strategy["buildArgs"] if one["name"] == "TARGET")
        assert name == f"recommender-{target}"
        assert re.search(rf"^FROM runtime AS {target}$", DOCKERFILE, re.MULTILINE)


def test_arguments_of_the_builds_are_the_dockerfile_s() -> None:
    declared = dict(re.findall(r"^ARG (\w+)=(.*)$", DOCKERFILE, re.MULTILINE))
    for spec in of("BuildConfig").values():
        given = spec["strategy"]["dockerStrategy"]["buildArgs"]
        assert {one["name"] for one in given} <= set(declared)
    for parameter in template()["parameters"]:
        assert declared[parameter["name"]] == parameter["value"]


def test_every_parameter_is_used_and_declared() -> None:
    declared = {one["name"] for one in template()["parameters"]}
    used = set(re.findall(r"\$\{(\w+)\}", (OPENSHIFT / "build.yaml").read_text()))
    assert used == declared
    assert all(one["description"] for one in template()["parameters"])


def test_streams_are_found_by_their_short_names() -> None:
    for spec in of("ImageStream").values():
        assert spec["lookupPolicy"] == {"local": True}
