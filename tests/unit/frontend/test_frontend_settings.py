import os
import subprocess
import sys
from pathlib import Path

import pytest

from frontend.secret import storage_secret
from frontend.settings import FrontendSettings
from frontend.visitor import Visitor
from frontend.waiting import Waiting
from recommender.errors import InvalidSetting
from recommender.settings import load


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("RECOMMENDER_"):
            monkeypatch.delenv(name)
    settings = load(FrontendSettings)
    assert settings.address == ("127.0.0.1", 8080)
    assert str(settings.ingest_url) == "http://127.0.0.1:8081/"
    assert str(settings.predictor_url) == "http://127.0.0.1:8082/"


def test_every_setting_is_described() -> None:
    assert all(field.description for field in FrontendSettings.model_fields.values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECOMMENDER_FRONTEND_PORT", "70000"),
        ("RECOMMENDER_PREDICTOR_URL", "nowhere"),
        ("RECOMMENDER_FRONTEND_REFRESH_SECONDS", "nan"),
    ],
)
def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting, match=f"{name}='{value}'"):
        load(FrontendSettings)


def test_a_short_secret_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_FRONTEND_STORAGE_SECRET", "hunter2")
    with pytest.raises(InvalidSetting, match="FRONTEND_STORAGE_SECRET") as caught:
        load(FrontendSettings)
    assert "at least 16" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_process_says_one_sentence_and_exits_with_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "frontend"],
        env={**os.environ, "RECOMMENDER_FRONTEND_PORT": "web"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "RECOMMENDER_FRONTEND_PORT='web'" in done.stderr


def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "frontend"
    secret = storage_secret(folder)
    assert len(secret) >= 32
    assert storage_secret(folder) == secret
    assert storage_secret(tmp_path / "other") != secret
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_visitor_is_whom_the_storage_says() -> None:
    storage: dict[str, object] = {}
    visitor = Visitor(storage)
    assert visitor.is_new
    assert visitor.user.startswith("visitor-")
    assert Visitor(storage).user == visitor.user  # a reload
    waiting = Waiting("u", "1", None, 4.5, 12.0, "event")
    visitor.waiting = [waiting]
    assert Visitor(storage).waiting == [waiting]
    visitor.become("42")
    assert (visitor.user, visitor.is_new, visitor.waiting) == ("42", False, [waiting])
    before = visitor.user
    visitor.become_new()
    assert visitor.user != before
    visitor.dark = True
    assert Visitor(storage).dark is True
    assert Visitor({"user": "42", "dark": "maybe"}).dark is None
