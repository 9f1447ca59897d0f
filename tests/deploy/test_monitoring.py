"""Alerts and dashboard: what they ask for is PromQL, and of metrics that the services have."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import REGISTRY

from tests.deploy.cases import MONITORED
from tests.deploy.chart import CHART, LOADER, STORES, Rendered

Chart = Callable[..., Rendered]

# Where metrics are defined; the modeler's come with the object that counts.
for module in ("ingest.publishing", "predictor.metrics", "service.metrics", "modeler.health"):
    import_module(module)


@pytest.fixture(scope="module")
def metrics() -> dict[str, set[str]]:
    """Every series of the services, and its labels."""
    import modeler.metrics

    source = modeler.metrics.__file__
    found: dict[str, set[str]] = {"up": set()}
    for collector in list(REGISTRY._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()))
        for name in REGISTRY._collector_to_names[collector]:
            found[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    # Read, not made: a second instance would be refused where tests of the modeler made one.
    text = Path(source).read_text()
    for kind, name in re.findall(r"(Counter|Gauge|Histogram)\(\s*\"(\w+)\"", text):
        labels = {"step"} if name == "modeler_step_seconds" else set()
        if kind == "Histogram":
            found |= {f"{name}_{end}": labels for end in ("sum", "count")}
            found[f"{name}_bucket"] = labels | {"le"}
        else:
            found[name] = labels
    return found


def selectors(node: Any) -> Iterator[Any]:
    """The vector selectors of a parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    elif isinstance(node, promql_parser.MatrixSelector):
        yield node.vector_selector
    else:
        for name in ("expr", "lhs", "rhs"):
            if hasattr(node, name):
                yield from selectors(getattr(node, name))
        for argument in getattr(node, "args", None) or []:
            yield from selectors(argument)


def alerts(chart: Chart, *values: dict[str, Any]) -> dict[str, Any]:
    (rule,) = chart(STORES, MONITORED, *values).of("PrometheusRule")
    return {one["alert"]: one for group in rule["spec"]["groups"] for one in group["rules"]}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CHART / "files" / "dashboard.json").read_text())
    return found


def asked(chart: Chart) -> dict[str, str]:
    """Every expression, by where it stands."""
    found = {f"alert {name}": one["expr"] for name, one in alerts(chart).items()}
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            where = f"panel {panel['title']} {target['refId']}"
            found[where] = target["expr"].replace("$__rate_interval", "1m")
    assert len(found) > 25
    return found


def test_every_expression_asks_for_metrics_that_exist(
    chart: Chart, metrics: dict[str, set[str]]
) -> None:
    # Given by Prometheus or by the ServiceMonitor.
    given = {"service", "release"}
    for where, expression in asked(chart).items():
        found = list(selectors(promql_parser.parse(expression)))
        assert found, where
        for selector in found:
            assert selector.name in metrics, (where, selector.name)
            for matcher in selector.matchers.matchers:
                assert matcher.name in metrics[selector.name] | given, (where, matcher.name)
            assert "release" in {one.name for one in selector.matchers.matchers}, where


def test_a_misspelt_metric_is_found(metrics: dict[str, set[str]]) -> None:
    (selector,) = selectors(promql_parser.parse("sum(rate(modeler_rating_total[5m]))"))
    assert selector.name not in metrics


def test_alerts_say_what_is_the_matter_and_documents_explain_each(chart: Chart) -> None:
    documented = (CHART.parents[2] / "docs" / "operations.md").read_text()
    for name, alert in alerts(chart).items():
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert alert["annotations"]["summary"]
        assert f"`{name}`" in documented, name


def test_thresholds_are_those_of_the_values(chart: Chart) -> None:
    values = {"monitoring": {"lagRecords": 2000000, "freshnessSeconds": 2.5, "deadLetters": 7}}
    found = alerts(chart, values)
    assert found["RecommenderLag"]["expr"].endswith("> 2000000")
    assert "> 2.5" in found["RecommenderStale"]["expr"]
    assert found["RecommenderDeadLetters"]["expr"].endswith("> 7")
    text = yaml.dump(list(found.values()))
    assert not re.search(r"\b[A-Z]{3,}_[A-Z]+\b|RELEASE", text), "a word was not filled in"
    assert 'release="shop"' in text


def test_the_monitor_finds_the_services_and_labels_what_they_say(chart: Chart) -> None:
    rendered = chart(STORES, MONITORED)
    (monitor,) = rendered.of("ServiceMonitor")
    selector = monitor["spec"]["selector"]
    wanted = set(selector["matchExpressions"][0]["values"])
    ports = {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]}
    found = set()
    for service in rendered.of("Service"):
        labels = service["metadata"]["labels"]
        component = labels["app.kubernetes.io/component"]
        if selector["matchLabels"].items() <= labels.items() and component in wanted:
            assert {port["name"] for port in service["spec"]["ports"]} <= ports
            found.add(component)
    assert found == {"ingest", "predictor", "frontend", "modeler"}
    for endpoint in monitor["spec"]["endpoints"]:
        labels = {one["targetLabel"] for one in endpoint["relabelings"]}
        assert labels == {"service", "release"}


def test_the_dashboard_reaches_the_cluster_unchanged(chart: Chart) -> None:
    rendered = chart(STORES, MONITORED, {"monitoring": {"labels": {"grafana": "main"}}})
    config = rendered.get("ConfigMap", "shop-dashboard")
    assert json.loads(config["data"]["recommender.json"]) == dashboard()
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["labels"]["grafana"] == "main"


def test_the_dashboard_s_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    identifiers = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
        identifiers.add(panel["id"])
    assert len(identifiers) == len(dashboard()["panels"])


def test_nothing_is_monitored_unless_asked_for(chart: Chart) -> None:
    kinds = {kind for kind, _ in chart(STORES).names}
    assert not kinds & {"ServiceMonitor", "PrometheusRule"}
    assert ("ConfigMap", "shop-dashboard") not in chart(STORES).names


def test_rules_are_plain_yaml() -> None:
    assert yaml.load((CHART / "files" / "alerts.yaml").read_text(), LOADER)["groups"]
