"""RECOMMENDER_SETTINGS_FILE: read after the environment, and named when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from recommender.errors import InvalidSetting
from recommender.model_settings import ModelSettings
from recommender.settings import load


def test_a_wrong_value_in_the_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.env"
    path.write_text("# mine\nRECOMMENDER_RANK=0\nRECOMMENDER_UNKNOWN=1\n")
    monkeypatch.setenv("RECOMMENDER_SETTINGS_FILE", str(path))

    with pytest.raises(InvalidSetting, match=r"RANK='0': .*greater than or equal to 1"):
        load(ModelSettings)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_SETTINGS_FILE", str(tmp_path / "none.env"))

    with pytest.raises(InvalidSetting, match=r"SETTINGS_FILE='.*none\.env': there is no such file"):
        load(ModelSettings)


def test_arguments_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.env"
    path.write_text("RECOMMENDER_RANK=5\nRECOMMENDER_DECAY=0.25\n")
    monkeypatch.setenv("RECOMMENDER_SETTINGS_FILE", str(path))

    settings = ModelSettings(rank=7)

    assert (settings.rank, settings.decay, settings.passes) == (7, 0.25, 3)
