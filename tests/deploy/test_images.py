"""The images' entrypoint as a cluster runs it: unknown user, group 0, a root that is read-only."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from local import ports
from local.kafka import Kafka
from storage.settings import KafkaSettings
from storage.topics import create_topics
from tests.deploy import container
from tests.deploy.container import IMAGES, Container, image_environment, terminate
from tests.integration.modeler.conftest import (  # noqa: F401 - fixtures
    Modeler,
    make_modeler,
    some_ratings,
)
from tests.integration.modeler.test_cluster import ready, spark_home

pytestmark = pytest.mark.skipif(
    container.reason_against() is not None, reason=str(container.reason_against())
)

# SIGTERM to end; the grace period of the chart's services is 30 s.
GRACE = 30.0


@pytest.fixture
def contained(tmp_path: Path) -> Callable[..., Container]:
    def make(name: str = "one", **environment: object) -> Container:
        given = {f"RECOMMENDER_{key.upper()}": str(value) for key, value in environment.items()}
        return Container(tmp_path / name, given)

    return make


def test_the_view_is_that_of_a_restricted_container(contained: Callable[..., Container]) -> None:
    one = contained()
    script = (
        "id -u; id -g; touch /no; touch /tmp/yes && echo written; grep CapBnd /proc/self/status"
    )
    one.run("-c", script, program="/bin/sh")
    assert f"{container.UID}\n0\n" in one.said
    assert "Read-only file system" in one.said
    assert "written" in one.said
    assert "CapBnd:\t0000000000000000" in one.said


@pytest.mark.parametrize("service", ["ingest", "predictor", "frontend"])
def test_a_service_starts_answers_its_check_and_ends(
    service: str, contained: Callable[..., Container]
) -> None:
    """Without its stores: those may come later than it."""
    (port,) = ports.free(1)
    one = contained(**{f"{service}_port": port, f"{service}_host": "127.0.0.1"})
    process = one.start(service)
    try:
        url = f"http://127.0.0.1:{port}"
        await_true(lambda: live(url), one, process)
        assert httpx.get(f"{url}/metrics").is_success
        assert terminate(process, GRACE) == 0
    finally:
        process.kill()
    assert "Traceback" not in one.said
    assert "Permission denied" not in one.said
    assert "Read-only" not in one.said


def test_prepare_makes_topics_and_schema_and_may_be_repeated(
    kafka: Kafka, dsn: str, contained: Callable[..., Container]
) -> None:
    name = uuid.uuid4().hex[:8]
    one = contained(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        postgres_dsn=dsn,
        ratings_topic=f"ratings-{name}",
        items_topic=f"items-{name}",
        dead_letter_topic=f"dead-{name}",
    )
    assert one.run("prepare") == 0, one.said
    assert one.run("prepare") == 0, one.said
    settings = KafkaSettings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        ratings_topic=f"ratings-{name}",
        items_topic=f"items-{name}",
        dead_letter_topic=f"dead-{name}",
    )
    assert create_topics(settings) == []


def test_the_modeler_learns_with_executors_of_their_own_and_ends_in_time(
    make_modeler: Callable[..., Modeler],  # noqa: F811
    jars: Path,
    java_home: Path,
    contained: Callable[..., Container],
) -> None:
    """Spark's Java processes, too, run as the unknown user, of whom Java wants name and home."""
    if not list(Path("/usr/lib").glob("*/libnss_wrapper.so")):
        pytest.skip("libnss_wrapper, which the image has, is not on this machine")
    (port,) = ports.free(1)
    modeler = make_modeler(spark_master="local-cluster[2,1,1024]", modeler_metrics_port=port)
    modeler.send(some_ratings(2000, seed=5))
    one = contained()
    repository = container.REPOSITORY.resolve()
    inside = {
        # Paths below the repository are elsewhere inside.
        name: value.replace(str(repository), f"/tmp/{repository.name}")
        for name, value in modeler.environment.items()
    }
    one.environment |= inside | {
        "REAL_HOME": spark_home().replace(str(repository), f"/tmp/{repository.name}"),
        "SPARK_HOME": "/tmp/home",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    # Workers of a local cluster, which no pod has, write below Spark's home.
    script = (
        'mkdir /tmp/home && ln -s "$REAL_HOME"/* /tmp/home/ && rm -f /tmp/home/work '
        '&& exec "$RECOMMENDER_PROGRAMS/entrypoint.sh" stream'
    )
    process = one.start("-c", script, program="/bin/sh")
    try:
        url = f"http://127.0.0.1:{port}"
        await_true(lambda: ready(url), one, process)
        assert modeler.await_learned(2000).agree
        assert terminate(process, 60.0) == 0
    finally:
        process.kill()
    assert modeler.sums().agree
    assert "learning" in one.said


def test_an_unknown_word_is_answered_with_the_words_there_are() -> None:
    done = subprocess.run(
        ["sh", str(IMAGES / "entrypoint.sh")], capture_output=True, text=True, timeout=10
    )
    assert done.returncode == 64
    for word in ("ingest", "predictor", "frontend", "prepare", "load", "smoke", "stream"):
        assert word in done.stderr


@pytest.mark.parametrize(("answers", "status"), [(True, 0), (False, 1)])
def test_the_health_check_asks_the_service_that_runs_here(
    answers: bool, status: int, contained: Callable[..., Container]
) -> None:
    (port,) = ports.free(1)
    one = contained(ingest_port=port, ingest_host="127.0.0.1")
    process = one.start("ingest")
    try:
        await_true(lambda: live(f"http://127.0.0.1:{port}"), one, process)
        other = contained("other", ingest_port=port if answers else 1)
        script = 'echo ingest >/tmp/service; exec python "$RECOMMENDER_PROGRAMS/healthcheck.py"'
        assert other.run("-c", script, program="/bin/sh") == status, other.said
    finally:
        process.kill()


def test_a_job_has_nothing_to_check(contained: Callable[..., Container]) -> None:
    one = contained()
    script = 'exec python "$RECOMMENDER_PROGRAMS/healthcheck.py"'
    assert one.run("-c", script, program="/bin/sh") == 0, one.said


def test_the_bill_of_materials_names_packages_and_jars(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(IMAGES / "sbom.py"), "recommender-modeler", "1.2.3"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    bill = json.loads(done.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["version"] == "1.2.3"
    purls = {one.get("purl") for one in bill["components"]}
    assert "pkg:pypi/pyspark@4.2.0" in purls
    jars = [one for one in bill["components"] if one["name"].startswith("spark-kubernetes_")]
    assert len(jars) == 1
    assert len(jars[0]["hashes"][0]["content"]) == 64
    references = [one["bom-ref"] for one in bill["components"]]
    assert len(references) == len(set(references))


def test_nothing_in_the_environment_is_secret() -> None:
    assert not [name for name in image_environment() if "PASSWORD" in name or "SECRET" in name]


def live(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", timeout=2).is_success
    except httpx.TransportError:
        return False


def await_true(
    look: Callable[[], bool], one: Container, process: subprocess.Popen[bytes], within: float = 120
) -> None:
    deadline = time.monotonic() + within
    while not look():
        assert process.poll() is None, one.said[-3000:]
        assert time.monotonic() < deadline, one.said[-3000:]
        time.sleep(0.1)
