"""Where the archive of Java's classes is that the embedded modeler starts with, and its making."""

from __future__ import annotations

import hashlib
import sys
from importlib.metadata import version
from pathlib import Path

from local.jars import LOCK_FILE
from local.processes import Children, Program
from modeler.java import Java


def path(jars: Path, java: Java) -> Path:
    """The archive's file: another one for another Java, Spark or set of jars.

    Parameters
    ----------
    jars : Path
        The folder of `local.jars.ensure`.
    java : Java
    """
    release = java.home / "release"
    told = [
        release.read_bytes() if release.exists() else str(java).encode(),
        version("pyspark").encode(),
        LOCK_FILE.read_bytes(),
    ]
    name = hashlib.sha256(b"|".join(told)).hexdigest()[:16]
    return jars / f"classes-{name}.jsa"


def maker(jars: Path, java: Java, niceness: int = 0) -> Program:
    """The program that makes it.

    Parameters
    ----------
    jars, java
        As for `path`.
    niceness : int
        19 is that of what can wait.
    """
    made = ["-m", "modeler.class_archive", str(path(jars, java))]
    return Program(
        name="class-archive",
        command=[sys.executable, *made],
        environment={
            "JAVA_HOME": str(java.home),
            "RECOMMENDER_JARS": str(jars / "spark"),
            "PYSPARK_PYTHON": sys.executable,
        },
        niceness=niceness,
    )


def ensure(children: Children, jars: Path, java: Java) -> Path:
    """Have the archive before the first modeler is started, for many starts that follow.

    Parameters
    ----------
    children : Children
        Run its making.
    jars, java
        As for `path`.
    """
    archive = path(jars, java)
    if not archive.exists():
        children.start(maker(jars, java)).wait()
    return archive
