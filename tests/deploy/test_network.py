"""The ways that the NetworkPolicies leave open are those of the design, and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy.cases import CASES, EXECUTORS, exposed
from tests.deploy.chart import DEV, STORES, Object, Rendered, merged, pods

Chart = Callable[..., Rendered]

# docs/architecture.md: who asks whom, and by which port.
SERVING = {
    ("frontend", "ingest", 8081),
    ("frontend", "predictor", 8082),
    ("smoke", "frontend", 8080),
    ("smoke", "ingest", 8081),
    ("smoke", "predictor", 8082),
}
BUNDLED = {
    ("ingest", "kafka", 9092),
    ("modeler", "kafka", 9092),
    ("prepare", "kafka", 9092),
    ("modeler", "postgres", 5432),
    ("predictor", "postgres", 5432),
    ("prepare", "postgres", 5432),
    ("refit", "postgres", 5432),
    ("modeler", "valkey", 6379),
    ("predictor", "valkey", 6379),
}
SPARK = {
    ("executor", "modeler", 7078),
    ("executor", "modeler", 7079),
    ("modeler", "executor", 7079),
    ("executor", "executor", 7079),
    ("executor", "kafka", 9092),
    ("executor", "postgres", 5432),
}


def selects(selector: Object, labels: Object) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items()


def components(rendered: Rendered) -> dict[str, Object]:
    """A pod of each component: its labels and, by name, its ports."""
    return {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod for _, pod in pods(rendered)
    }


def allowed(
    policies: list[Object], pod: Object, direction: str, other: Object, port: int, target: Object
) -> bool:
    """Whether the policies of a pod let it speak with another pod of this namespace.

    A pod that some policy names for a direction may do only what one of them says.
    """
    labels = pod["metadata"]["labels"]
    rules, restricted = [], False
    for policy in policies:
        spec = policy["spec"]
        if direction.capitalize() in spec["policyTypes"] and selects(spec["podSelector"], labels):
            restricted = True
            rules += spec.get(direction, [])
    if not restricted:
        return True
    peers = "from" if direction == "ingress" else "to"
    named = {
        one.get("name"): one["containerPort"]
        for one in target["spec"]["containers"][0].get("ports", [])
    }
    for rule in rules:
        ports = [one for one in rule.get("ports", []) if one["protocol"] == "TCP"]
        if rule.get("ports") and port not in [named.get(one["port"], one["port"]) for one in ports]:
            continue
        if peers not in rule or any(
            "podSelector" in peer
            and "namespaceSelector" not in peer
            and selects(peer["podSelector"], other["metadata"]["labels"])
            for peer in rule[peers]
        ):
            return True
    return False


def ways(rendered: Rendered) -> set[tuple[str, str, int]]:
    """Every way between pods of the release that is open at both of its ends."""
    policies = rendered.of("NetworkPolicy")
    made = components(rendered)
    ports = {8080, 8081, 8082, 8083, 7078, 7079, 9092, 5432, 6379, 22, 443}
    return {
        (one, other, port)
        for one, source in made.items()
        for other, target in made.items()
        for port in ports
        if allowed(policies, source, "egress", target, port, target)
        and allowed(policies, target, "ingress", source, port, target)
    }


def test_the_ways_of_the_design_are_open_and_no_others(chart: Chart) -> None:
    assert ways(chart(DEV)) == SERVING | BUNDLED


def test_executors_speak_with_their_driver_and_the_stores(chart: Chart) -> None:
    # 443: the driver may ask the Kubernetes API, wherever that is; no pod here listens there.
    assert ways(chart(DEV, EXECUTORS)) == SERVING | BUNDLED | SPARK


def test_without_policies_every_way_is_open(chart: Chart) -> None:
    """So the tests above would notice if nothing were restricted."""
    open_ = ways(chart(DEV, {"networkPolicy": {"enabled": False}}))
    assert ("frontend", "postgres", 5432) in open_


@pytest.mark.parametrize("case", sorted(set(CASES) - {"nothing but serving"}))
def test_every_pod_is_denied_all_that_is_not_said(case: str, chart: Chart) -> None:
    rendered = chart(CASES[case])
    (deny,) = (
        one for one in rendered.of("NetworkPolicy") if one["metadata"]["name"].endswith("-deny")
    )
    assert set(deny["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in deny["spec"]
    assert "egress" not in deny["spec"]
    for pod in components(rendered).values():
        assert selects(deny["spec"]["podSelector"], pod["metadata"]["labels"])


def sources(chart: Chart, component: str, *values: dict[str, Any]) -> list[Object]:
    policy = chart(STORES, *values).get("NetworkPolicy", f"shop-{component}")
    return [peer for rule in policy["spec"].get("ingress", []) for peer in rule["from"]]


def test_the_router_reaches_what_is_exposed_and_only_then(chart: Chart) -> None:
    router = {"networkPolicy": {"routerNamespace": {"name": "router"}}}
    peer = {"namespaceSelector": {"matchLabels": {"name": "router"}}}
    pages_only = {"exposure": {"type": "route", "host": "films.test"}}
    for component in ("frontend", "ingest", "predictor"):
        assert peer not in sources(chart, component, router)
        assert peer in sources(chart, component, router, exposed("route"))
    assert peer in sources(chart, "frontend", router, pages_only)
    assert peer not in sources(chart, "ingest", router, pages_only)


def test_prometheus_reaches_metrics_only_where_it_is_switched_on(chart: Chart) -> None:
    place = {"networkPolicy": {"monitoringNamespace": {"name": "monitoring"}}}
    peer = {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
    switched_on = {"monitoring": {"serviceMonitor": True}}
    for component in ("frontend", "ingest", "predictor", "modeler"):
        assert peer in sources(chart, component, merged(place, switched_on))
        assert peer not in sources(chart, component, place)


def test_stores_of_ones_own_by_peer_and_port(chart: Chart) -> None:
    values = {
        "networkPolicy": {
            "postgresTo": [{"ipBlock": {"cidr": "10.1.2.3/32"}}],
            "postgresPorts": [6432],
        }
    }
    rules = chart(STORES, values).get("NetworkPolicy", "shop-predictor")["spec"]["egress"]
    assert {
        "to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}],
        "ports": [{"protocol": "TCP", "port": 6432}],
    } in rules
    assert {"ports": [{"protocol": "TCP", "port": 6379}]} in rules
    assert len(rules) == 2


def test_only_a_driver_with_executors_reaches_the_kubernetes_api(chart: Chart) -> None:
    api = {"networkPolicy": {"apiTo": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}}

    def reaches(rendered: Rendered) -> set[str]:
        return {
            policy["metadata"]["name"]
            for policy in rendered.of("NetworkPolicy")
            if "10.0.0.1/32" in str(policy["spec"].get("egress"))
        }

    assert reaches(chart(STORES, api)) == set()
    assert reaches(chart(STORES, api, EXECUTORS)) == {"shop-modeler"}
