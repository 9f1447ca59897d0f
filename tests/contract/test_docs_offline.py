"""The services' own pages of documentation need nothing from the internet."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

import ingest.app
import predictor.app
from ingest.settings import IngestSettings
from predictor.settings import PredictorSettings


@pytest.mark.parametrize(
    "app",
    [ingest.app.build(IngestSettings()), predictor.app.build(PredictorSettings())],
    ids=["ingest", "predictor"],
)
def test_docs_and_all_that_they_load_come_from_the_service_itself(app: object) -> None:
    client = TestClient(app)  # type: ignore[arg-type]
    page = client.get("/docs")
    assert page.status_code == 200
    loaded = re.findall(r"""(?:href|src)=["']([^"']+)["']""", page.text)
    kinds = {address.rpartition(".")[2] for address in loaded}
    assert kinds >= {"js", "css"}
    for address in [*loaded, *re.findall(r"url: '([^']+)'", page.text)]:
        assert address.startswith("/"), address
        assert client.get(address).status_code == 200, address
    missing = client.get("/static-offline-docs/absent.js")
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"
