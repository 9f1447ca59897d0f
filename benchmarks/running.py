"""The real stores and services for a benchmark: started on free ports, ended afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local import class_archive, ports
from local import jars as jar_sets
from local.processes import Children
from local.settings import LocalSettings
from local.stack import Content, Stack
from modeler import java as java_runtime
from recommender.settings import load


@contextmanager
def stores() -> Iterator[tuple[Stack, Children]]:
    """Kafka, Postgres and Redis with topics and schema, syncing to the disk as in `make run`."""
    local = load(LocalSettings)
    java = java_runtime.find(local.state / "java")
    jars = local.state / "jars"
    jar_sets.ensure(jars, java, local.maven_repository)
    frontend, ingest, predictor = ports.free(3)
    settings = local.model_copy(
        update={
            "frontend_port": frontend,
            "ingest_port": ingest,
            "predictor_port": predictor,
        }
    )
    with tempfile.TemporaryDirectory(prefix="recommender-benchmark-") as state:
        children = Children(Path(state))
        try:
            class_archive.ensure(children, jars, java)
            stack = Stack(settings, children, java, jars)
            for store in (stack.kafka, stack.postgres, stack.redis):
                stack.launch_store(store)
            stack.prepare()
            yield stack, children
        finally:
            children.close()


@contextmanager
def product() -> Iterator[Stack]:
    """The stores, ingest, modeler and predictor; ready to take ratings and to recommend."""
    content = Content("generated: benchmark")
    with stores() as (stack, _):
        stack.launch_service("ingest", content)
        stack.launch_model(content)
        stack.await_service("ingest", stack.ingest_url)
        stack.await_service("predictor", stack.predictor_url)
        yield stack
