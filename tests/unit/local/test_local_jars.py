"""The pinned jars: what counts as there, and what is refused."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from local import jars
from modeler.java import Java
from recommender.errors import MissingRequirement

NO_JAVA = Java(home=Path("/nowhere"), version=17)


def resolve_to(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> list[Path]:
    """Let the registry serve these files; the calls that were made."""
    calls: list[Path] = []

    def resolve(folder: Path, java: Java, mirror: str) -> None:
        calls.append(folder)
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)

    monkeypatch.setattr(jars, "_resolve", resolve)
    return calls


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    files = {"spark/a-1.jar": b"one", "broker/b-2.jar": b"two"}
    lock_file = tmp_path / "jars.sha256"
    lock_file.write_text(
        "".join(
            f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()
        )
    )
    monkeypatch.setattr(jars, "LOCK_FILE", lock_file)
    return files


def test_fetched_once_then_never_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    calls = resolve_to(monkeypatch, files)
    folder = tmp_path / "jars"
    jars.ensure(folder, NO_JAVA)
    jars.ensure(folder, NO_JAVA)
    assert calls == [folder]
    assert jars.jars(folder, "spark") == [folder / "spark" / "a-1.jar"]
    assert jars.jars(folder, "broker") == [folder / "broker" / "b-2.jar"]


def test_a_file_that_went_away_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    calls = resolve_to(monkeypatch, files)
    jars.ensure(tmp_path / "jars", NO_JAVA)
    (tmp_path / "jars" / "spark" / "a-1.jar").unlink()
    jars.ensure(tmp_path / "jars", NO_JAVA)
    assert len(calls) == 2
    assert (tmp_path / "jars" / "spark" / "a-1.jar").read_bytes() == b"one"


def test_files_that_are_there_already_need_no_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    calls = resolve_to(monkeypatch, files)
    jars.ensure(tmp_path / "first", NO_JAVA)
    shutil.copytree(tmp_path / "first" / "spark", tmp_path / "second" / "spark")
    shutil.copytree(tmp_path / "first" / "broker", tmp_path / "second" / "broker")
    jars.ensure(tmp_path / "second", NO_JAVA)
    assert calls == [tmp_path / "first"]


def test_what_is_not_as_pinned_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    resolve_to(monkeypatch, files | {"spark/a-1.jar": b"something else"})
    with pytest.raises(MissingRequirement, match=r"not what jars\.sha256 pins \(spark/a-1\.jar\)"):
        jars.ensure(tmp_path / "jars", NO_JAVA)
    # And it is not taken for good the next time.
    with pytest.raises(MissingRequirement):
        jars.ensure(tmp_path / "jars", NO_JAVA)


def test_a_registry_that_is_away_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    java = tmp_path / "home" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'Server access error: UnknownHostException'; exit 1\n")
    java.chmod(0o755)
    monkeypatch.setattr(jars, "ATTEMPTS", 2)
    with pytest.raises(MissingRequirement, match=r"UnknownHostException.*MAVEN_REPOSITORY"):
        jars.ensure(tmp_path / "jars", Java(home=tmp_path / "home", version=17))


def test_the_lock_file_names_files_and_checksums_only() -> None:
    pinned = jars.pinned()
    assert {name.split("/")[0] for name in pinned} == {"spark", "broker"}
    assert all(name.endswith(".jar") for name in pinned)
    assert all(len(digest) == 64 and int(digest, 16) for digest in pinned.values())
    assert "spark/spark-sql-kafka-0-10_2.13-4.2.0.jar" in pinned
    assert "broker/kafka_2.13-4.3.1.jar" in pinned
