"""The modeler as Spark's driver on Kubernetes, executors as pods, against a stand-in for its API.

The API server is small (`fake_api`), what it is asked is real: Spark's Kubernetes client, the
chart's configuration and pod template, the images' entrypoint. A pod that Spark makes is run as a
process, with the environment that its description says.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import ports
from tests.deploy.cases import EXECUTORS
from tests.deploy.chart import STORES, Object, Rendered, environment, merged, pods
from tests.deploy.fake_api import FakeApi, json_copy
from tests.deploy.test_pod_security import shortcomings, violations
from tests.deploy.tools import REPOSITORY
from tests.integration.modeler.conftest import (  # noqa: F401 - fixtures
    Modeler,
    make_modeler,
    some_ratings,
)
from tests.integration.modeler.test_cluster import metrics, ready, spark_home

IMAGES = REPOSITORY / "deploy" / "images"
HOST = "127.0.0.1"


class Kubelet:
    """Runs the pods that are made, and ends them when they are deleted."""

    def __init__(self, api: FakeApi, folder: Path) -> None:
        self._api = api
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.seen: list[Object] = []
        api.created, api.deleted = self.create, self.delete

    def create(self, resource: str, pod: Object) -> None:
        if resource != "pods":
            return
        self.seen.append(json_copy(pod))
        name = pod["metadata"]["name"]
        (container,) = pod["spec"]["containers"]
        given = {one["name"]: self._value(one, pod) for one in container.get("env", [])}
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                ["sh", str(IMAGES / "entrypoint.sh"), *container["args"]],
                env=own_environment(self._folder) | given | {"SPARK_LOCAL_DIRS": str(self._folder)},
                stdout=log,
                stderr=log,
            )
        pod["status"] = {
            "phase": "Running",
            "podIP": HOST,
            "containerStatuses": [
                {"name": container["name"], "ready": True, "restartCount": 0}
                | {"image": container["image"], "imageID": "", "started": True}
                | {"state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
            ],
        }
        self._api.put("pods", pod)

    def delete(self, resource: str, name: str) -> None:
        process = self._running.pop(name, None) if resource == "pods" else None
        if process is not None:
            process.kill()
            process.wait(10)

    def close(self) -> None:
        for name in list(self._running):
            self.delete("pods", name)

    @staticmethod
    def _value(variable: Object, pod: Object) -> str:
        if "value" in variable:
            return str(variable["value"])
        field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        return {"status.podIP": HOST, "metadata.name": pod["metadata"]["name"], None: ""}[field]


def own_environment(folder: Path) -> dict[str, str]:
    """What the image sets, as far as the machine's own environment is not it."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "SPARK_HOME": spark_home(),
        "JAVA_HOME": os.environ.get("JAVA_HOME", ""),
        "PYTHONPATH": str(REPOSITORY),
        "RECOMMENDER_PROGRAMS": str(IMAGES),
        "NUMBA_CACHE_DIR": str(folder / "numba"),
    }


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as running:
        yield running


def rules(rendered: Rendered) -> dict[str, set[str]]:
    return {
        resource: set(rule["verbs"])
        for rule in rendered.get("Role", "shop-modeler")["rules"]
        for resource in rule["resources"]
    }


def test_executors_are_made_learn_and_are_removed(
    api: FakeApi,
    chart: Callable[..., Rendered],
    make_modeler: Callable[..., Modeler],  # noqa: F811
    jars: Path,
    java_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rendered = chart(merged(STORES, EXECUTORS, {"modeler": {"executors": 1}}))
    monkeypatch.setenv("JAVA_HOME", str(java_home))
    deployment = dict(pods(rendered))["Deployment/shop-modeler"]
    told = environment(deployment)

    # The chart's configuration, where this machine can read it; in the image the jars are Spark's.
    configuration = tmp_path / "conf"
    configuration.mkdir()
    for name, text in rendered.get("ConfigMap", "shop-spark")["data"].items():
        text = text.replace("/etc/recommender/spark", str(configuration))
        text = re.sub(r"spark\.executor\.memory \S+", "spark.executor.memory 512m", text)
        (configuration / name).write_text(text)
    driver_port, block_port, metrics_port = ports.free(3)
    defaults = (configuration / "spark-defaults.conf").read_text()
    defaults = defaults.replace("7078", str(driver_port)).replace("7079", str(block_port))
    (configuration / "spark-defaults.conf").write_text(
        defaults + "\nspark.kubernetes.executor.apiPollingInterval 1s\n"
    )

    # What an earlier driver has left behind, and a pod of somebody else.
    leftover = dict(pods(rendered))["ConfigMap/shop-spark/executor.yaml"]
    labels = leftover["metadata"]["labels"]
    api.put("pods", {"metadata": {"name": "shop-exec-7", "labels": labels}})
    api.put(
        "pods",
        {
            "metadata": {
                "name": "other",
                "labels": {**labels, **{"app.kubernetes.io/instance": "other"}},
            }
        },
    )
    api.put(
        "pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "shop-modeler-0"},
            "spec": {"containers": []},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        },
    )
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("token")
    (account / "namespace").write_text("films")

    arguments = told["PYSPARK_SUBMIT_ARGS"]
    for name, value in {"POD_IP": HOST, "POD_NAME": "shop-modeler-0"}.items():
        arguments = arguments.replace(f"$({name})", value)
    kubelet = Kubelet(api, tmp_path)
    modeler = make_modeler(
        spark_master=f"k8s://{api.url}", modeler_metrics_port=metrics_port, scratch=tmp_path / "s"
    )
    modeler.send(some_ratings(1500, seed=3))
    with (tmp_path / "modeler.log").open("wb") as log:
        modeler.process = subprocess.Popen(
            ["sh", str(IMAGES / "entrypoint.sh"), "stream"],
            env={
                **own_environment(tmp_path),
                **modeler.environment,
                "SPARK_CONF_DIR": str(configuration),
                "PYSPARK_SUBMIT_ARGS": arguments,
                "EXECUTOR_SELECTOR": told["EXECUTOR_SELECTOR"],
                "KUBERNETES_API": api.url,
                "KUBERNETES_ACCOUNT": str(account),
            },
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://{HOST}:{metrics_port}"
        modeler.wait_for(lambda: ready(url), "readiness")
        assert modeler.await_learned(1500).agree
        assert "modeler_ratings_total 1500.0" in metrics(url)

        assert "shop-exec-7" not in api.named("pods"), "the leftover is still there"
        assert "other" in api.named("pods"), "somebody else's pod was removed"
        (made,) = kubelet.seen
        check(made, labels)

        modeler.stop()
        assert modeler.process.returncode == 0
        assert api.named("pods") == {"other", "shop-modeler-0"}, "executors are left"
    finally:
        modeler.stop()
        kubelet.close()

    allowed = rules(rendered)
    used = {(one.resource, one.verb) for one in api.asked}
    assert {(resource, verb) for resource, verb in used if verb not in allowed[resource]} == set()
    assert ("pods", "create") in used
    assert ("pods", "watch") in used


def check(pod: Any, labels: dict[str, str]) -> None:
    """An executor as Spark has made it of the chart's template."""
    assert labels.items() <= pod["metadata"]["labels"].items()
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Pod", "shop-modeler-0")
    spec = pod["spec"]
    assert violations(spec) == []
    assert shortcomings(spec, probed=False) == []
    assert spec["serviceAccountName"] == "shop-executor"
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["image"] == "recommender-modeler:0.1.0"
    assert container["args"] == ["executor"]
    # 512 MiB of heap and 2 GiB beside it.
    assert container["resources"]["limits"]["memory"] == f"{512 + 2048}Mi"
    assert yaml.safe_dump(spec)
