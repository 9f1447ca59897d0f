"""Passwords are made once, at random, and kept by every later upgrade."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.chart import CHART, DEV, STORES, Rendered
from tests.deploy.fake_api import FakeApi, json_copy

Chart = Callable[..., Rendered]

SECRETS = {
    "shop-frontend": "storage-secret",
    "shop-postgres": "password",
    "shop-valkey": "password",
}


def passwords(rendered: Rendered) -> dict[str, str]:
    return {
        name: base64.b64decode(rendered.get("Secret", name)["data"][key]).decode()
        for name, key in SECRETS.items()
    }


def test_each_installation_has_passwords_of_its_own(chart: Chart) -> None:
    one, other = passwords(chart(DEV)), passwords(chart(DEV))
    assert len({*one.values(), *other.values()}) == 2 * len(SECRETS)
    for password in one.values():
        assert re.fullmatch(r"[A-Za-z0-9]{32}", password)


def test_the_connection_string_has_the_password(chart: Chart) -> None:
    rendered = chart(DEV)
    uri = base64.b64decode(rendered.get("Secret", "shop-postgres")["data"]["uri"]).decode()
    password = passwords(rendered)["shop-postgres"]
    assert uri == f"postgresql://recommender:{password}@shop-postgres:5432/recommender"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[FakeApi, tuple[str, ...]]]:
    """A cluster for Helm to look things up in, and how to tell it so."""
    api = FakeApi()
    with api:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": api.url}}],
            "users": [{"name": "fake", "user": {}}],
            "contexts": [
                {"name": "fake", "context": {"cluster": "fake", "user": "fake"}},
            ],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(config))
        yield api, ("--dry-run=server", f"--kubeconfig={path}", "--disable-openapi-validation")


def install(api: FakeApi, rendered: Rendered) -> None:
    """Have the cluster hold the Secrets, with the annotations by which Helm knows its own."""
    for name in SECRETS:
        one = json_copy(rendered.get("Secret", name))
        one["metadata"]["annotations"] |= {
            "meta.helm.sh/release-name": "shop",
            "meta.helm.sh/release-namespace": "films",
        }
        api.put("secrets", one)


def test_an_upgrade_keeps_what_is_there(
    chart: Chart, cluster: tuple[FakeApi, tuple[str, ...]]
) -> None:
    api, options = cluster
    installed = chart(DEV, options=options)
    install(api, installed)
    upgraded = chart(DEV, {"settings": {"rank": 64}}, options=(*options, "--is-upgrade"))
    assert passwords(upgraded) == passwords(installed)
    uri = [one.get("Secret", "shop-postgres")["data"]["uri"] for one in (installed, upgraded)]
    assert uri[0] == uri[1]


def test_a_secret_that_was_deleted_is_made_anew(
    chart: Chart, cluster: tuple[FakeApi, tuple[str, ...]]
) -> None:
    api, options = cluster
    installed = chart(DEV, options=options)
    install(api, installed)
    api.take("secrets", "shop-valkey")
    upgraded, before = passwords(chart(DEV, options=options)), passwords(installed)
    assert upgraded["shop-valkey"] != before["shop-valkey"]
    assert upgraded["shop-postgres"] == before["shop-postgres"]


def test_installed_again_it_takes_up_what_an_earlier_release_left(
    chart: Chart, cluster: tuple[FakeApi, tuple[str, ...]]
) -> None:
    api, options = cluster
    removed = chart(DEV, options=options)
    install(api, removed)
    assert passwords(chart(DEV, options=options)) == passwords(removed)


def test_secrets_outlive_the_release(chart: Chart) -> None:
    """Data of a release that is removed and installed again can still be opened."""
    for one in chart(DEV).of("Secret"):
        assert one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_stores_of_ones_own_need_no_secret_of_ours_but_the_cookies(chart: Chart) -> None:
    assert [one["metadata"]["name"] for one in chart(STORES).of("Secret")] == ["shop-frontend"]


def test_no_password_stands_in_the_chart() -> None:
    for path in CHART.rglob("*"):
        if path.is_file():
            found = re.findall(r"(?i)^\s*\w*password:\s*(\S+)", path.read_text(), re.MULTILINE)
            assert [word for word in found if not word.startswith("{{")] == [], path
