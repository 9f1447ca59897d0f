"""The compose file: valid, every variable documented, and the services start in order."""

from __future__ import annotations

import functools
import re
import subprocess
from graphlib import TopologicalSorter
from typing import Any

import pytest
import yaml

from tests.deploy.chart import LOADER
from tests.deploy.tools import REPOSITORY

COMPOSE = REPOSITORY / "deploy" / "compose"
TEXT = (COMPOSE / "compose.yaml").read_text()
VARIABLE = re.compile(r"\$\{(\w+)(:-|:\?)?([^}]*)\}")

OURS = {"prepare", "ingest", "predictor", "frontend", "modeler", "load"}
STORES = {"kafka", "postgres", "valkey"}


def documented() -> dict[str, str]:
    """Variables of .env.example and their values."""
    lines = (COMPOSE / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@functools.cache
def filled(**given: str) -> dict[str, Any]:
    """The file with its variables put in, as compose would."""
    values = {
        **documented(),
        "POSTGRES_PASSWORD": "pw",
        "FRONTEND_STORAGE_SECRET": "s" * 16,
        **given,
    }

    def value(match: re.Match[str]) -> str:
        name, how, rest = match.groups()
        return values.get(name) or (rest if how == ":-" else "")

    found: dict[str, Any] = yaml.load(VARIABLE.sub(value, TEXT), LOADER)
    return found


def services() -> dict[str, Any]:
    found: dict[str, Any] = filled()["services"]
    return found


def test_docker_compose_takes_it() -> None:
    """Where there is docker compose; it is not on every machine."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("there is no docker compose on this machine")
    done = subprocess.run(
        ["docker", "compose", "--env-file", ".env.example", "config", "--quiet"],
        cwd=COMPOSE,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "POSTGRES_PASSWORD": "x"}
        | {"FRONTEND_STORAGE_SECRET": "x" * 16},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_every_variable_is_documented_with_the_value_that_it_has() -> None:
    used = {name: (how, rest) for name, how, rest in VARIABLE.findall(TEXT)}
    assert set(documented()) == set(used)
    for name, value in documented().items():
        how, default = used[name]
        if how == ":?":
            assert value == "", f"{name} must be set: it may have no value here"
        else:
            assert how == ":-", name
            assert value == default, name


def test_every_variable_has_a_line_about_it() -> None:
    text = (COMPOSE / ".env.example").read_text()
    blocks = re.split(r"^# ---.*$", text, flags=re.MULTILINE)[1:]
    assert len(blocks) > 4
    assert all(block.strip().startswith("#") or "LOG_LEVEL" in block for block in blocks)


def test_secrets_have_no_default() -> None:
    for name in ("POSTGRES_PASSWORD", "FRONTEND_STORAGE_SECRET"):
        assert re.search(rf"\$\{{{name}:\?", TEXT), f"{name} can be forgotten"
    grafana = services()["grafana"]["environment"]
    assert grafana["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert grafana["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_all_services_are_there() -> None:
    assert set(services()) == OURS | STORES | {"prometheus", "grafana"}
    assert services()["load"]["profiles"] == ["load"]
    for name in ("prometheus", "grafana"):
        assert services()[name]["profiles"] == ["monitoring"]


def test_services_start_in_order_and_after_what_is_healthy() -> None:
    order = {name: set(one.get("depends_on", {})) for name, one in services().items()}
    started = list(TopologicalSorter(order).static_order())
    assert started.index("kafka") < started.index("prepare") < started.index("ingest")
    assert started.index("modeler") < started.index("predictor") < started.index("frontend")
    for name, one in services().items():
        for other, how in one.get("depends_on", {}).items():
            checked = "test" in services()[other].get("healthcheck", {})
            wanted = "service_healthy" if checked else "service_completed_successfully"
            assert how["condition"] == wanted, (name, other)
            assert checked or services()[other]["command"] == ["prepare"]


def test_every_service_that_stays_says_how_it_is() -> None:
    for name, one in services().items():
        stays = one.get("command") not in (["prepare"], ["load"])
        assert ("test" in one["healthcheck"]) is stays, name


def test_our_services_are_asked_at_their_own_ports() -> None:
    ports = {"ingest": 8081, "predictor": 8082, "frontend": 8080, "modeler": 8083}
    for name, port in ports.items():
        assert services()[name]["healthcheck"]["test"][-1] == (
            f"http://127.0.0.1:{port}/health/ready"
        )


def test_our_containers_can_do_nothing_but_their_work() -> None:
    for name in OURS:
        one = services()[name]
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert one["tmpfs"] == ["/tmp:mode=1777,exec"], name


def test_commands_are_those_of_the_entrypoint() -> None:
    entrypoint = (REPOSITORY / "deploy" / "images" / "entrypoint.sh").read_text()
    for name in OURS:
        (word,) = services()[name]["command"]
        assert re.search(rf"\b{word}\b", entrypoint), word
        target = "modeler" if name == "modeler" else "web"
        assert services()[name]["build"]["target"] == target
        assert f"recommender-{target}:" in services()[name]["image"]


def test_settings_exist() -> None:
    known = set(
        re.findall(r"`(RECOMMENDER_\w+)`", (REPOSITORY / "docs" / "settings.md").read_text())
    )
    for name in OURS:
        given = {key for key in services()[name]["environment"] if key.startswith("RECOMMENDER_")}
        assert given <= known


def test_ports_are_on_this_machine_alone_unless_asked_for() -> None:
    for name, one in services().items():
        for port in one.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        if name in STORES:
            assert "ports" not in one, f"{name} is nobody's business outside"


def test_what_must_be_kept_is_kept() -> None:
    volumes = {
        name: [
            one for one in service.get("volumes", []) if one.split(":")[0] in filled()["volumes"]
        ]
        for name, service in services().items()
    }
    assert {name for name, kept in volumes.items() if kept} == {
        "kafka",
        "postgres",
        "prometheus",
        "grafana",
    }
    for service in services().values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith(".") and source != "./data":
                assert (COMPOSE / source).exists(), source


def test_prometheus_labels_what_it_reads_as_the_chart_does() -> None:
    config = yaml.load((COMPOSE / "prometheus.yaml").read_text(), LOADER)
    found = {}
    for target in config["scrape_configs"][0]["static_configs"]:
        (address,) = target["targets"]
        assert set(target["labels"]) == {"service", "release"}
        found[target["labels"]["service"]] = address
    assert found == {
        "ingest": "ingest:8081",
        "predictor": "predictor:8082",
        "frontend": "frontend:8080",
        "modeler": "modeler:8083",
    }
