"""The jars that Python packages do not bring: Spark's Kafka connector, and a Kafka broker.

Resolved by the Ivy that comes with pyspark, from Maven Central; each file is pinned by checksum in
``jars.sha256``. ``python -m local.jars FOLDER`` fetches them, also for the images.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import structlog
import tenacity
import typer

from local import truststore
from local.settings import LocalSettings
from modeler import java as java_runtime
from recommender.errors import MissingRequirement, RecommenderError
from recommender.settings import load

SETS = ("spark", "broker")
LOCK_FILE = Path(__file__).with_name("jars.sha256")

# Ivy goes on where it stopped; a registry that is away for a minute is worth waiting for.
ATTEMPTS = 4
ATTEMPT_WITHIN = 600.0

log = structlog.get_logger(__name__)


def pinned() -> dict[str, str]:
    """SHA-256 of each file by its name in the folder, e.g. ``spark/kafka-clients-3.9.2.jar``."""
    lines = LOCK_FILE.read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def jars(folder: Path, of: str) -> list[Path]:
    """Paths of the files of one set, ``spark`` or ``broker``, in a folder that holds them."""
    return [folder / name for name in sorted(pinned()) if name.startswith(f"{of}/")]


def missing(folder: Path) -> list[str]:
    """Names of pinned files that are not in the folder, or not as pinned."""
    return [name for name, digest in pinned().items() if _digest(folder / name) != digest]


def ensure(folder: Path, java: java_runtime.Java, mirror: str = "") -> None:
    """Have all pinned files in the folder, fetching those that are not there.

    Several processes may call it at the same time: one fetches, the others wait for it.

    Parameters
    ----------
    folder : Path
    java : Java
        Runs Ivy.
    mirror : str
        Address of a Maven repository to ask instead of Maven Central.

    Raises
    ------
    MissingRequirement
        If they cannot be fetched, or are not what was pinned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    verified = folder / "verified"
    wanted = _digest(LOCK_FILE)
    if verified.exists() and verified.read_text() == wanted and _all_there(folder):
        return
    with _alone(folder):
        if missing(folder):
            _resolve(folder, java, mirror)
            shutil.rmtree(folder / ".ivy", ignore_errors=True)  # good or bad, it has been copied
            if wrong := missing(folder):
                raise MissingRequirement(
                    f"{len(wrong)} downloaded jars are not what {LOCK_FILE.name} pins ({wrong[0]}"
                    f"{', ...' if len(wrong) > 1 else ''}): the repository serves something else; "
                    "try again, with another RECOMMENDER_MAVEN_REPOSITORY if it stays so."
                )
        verified.write_text(wanted)


def pin(folder: Path, java: java_runtime.Java, mirror: str = "") -> None:
    """Resolve ``ivy.xml`` anew and write the lock file from what came."""
    _resolve(folder, java, mirror)
    files = sorted(path for part in SETS for path in (folder / part).glob("*.jar"))
    lines = [f"{_digest(path)}  {path.relative_to(folder)}\n" for path in files]
    LOCK_FILE.write_text("".join(lines))


def _resolve(folder: Path, java: java_runtime.Java, mirror: str) -> None:
    ivy_jar = next((_pyspark() / "jars").glob("ivy-*.jar"))
    options = [f"-Dresolver={'mirror' if mirror else 'central'}", f"-Dmirror={mirror}"]
    trusted = folder / ".ivy" / "trusted.jks"
    if java.bundled and truststore.write(trusted):
        options += [f"-Djavax.net.ssl.trustStore={trusted}", "-Djavax.net.ssl.trustStoreType=jks"]
    command = [
        *[java.command, *options, "-jar", str(ivy_jar), "-warn"],
        *["-settings", str(Path(__file__).with_name("ivysettings.xml"))],
        *["-ivy", str(Path(__file__).with_name("ivy.xml"))],
        *["-cache", str(folder / ".ivy"), "-types", "jar", "bundle"],
        *["-retrieve", f"{folder}/[conf]/[artifact]-[revision].[ext]", "-overwriteMode", "always"],
    ]

    def attempt() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=ATTEMPT_WITHIN,
        )

    def again(state: tenacity.RetryCallState) -> None:
        log.warning("jars could not be fetched, trying again", attempt=state.attempt_number)

    try:
        tenacity.Retrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_exponential(multiplier=1, max=10),
            retry=tenacity.retry_if_exception_type(subprocess.SubprocessError),
            before_sleep=again,
            reraise=True,
        )(attempt)
    except subprocess.TimeoutExpired:
        reason = f"no end after {ATTEMPT_WITHIN:g} s"
    except subprocess.CalledProcessError as error:
        reason = _reason(error.stdout)
    else:
        return
    raise MissingRequirement(
        f"The jars of Kafka and of Spark's connector cannot be downloaded ({reason}): check the "
        "network, or name a mirror of Maven Central by RECOMMENDER_MAVEN_REPOSITORY, and run it "
        "again; it goes on where it stopped."
    )


def _reason(output: str) -> str:
    """The line of Ivy's output that says most."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "rror" in line or "xception" in line] or lines
    return telling[0][:300] if telling else "Ivy said nothing"


def _pyspark() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise MissingRequirement("The package pyspark is not installed: run `make` again.")
    return Path(spec.origin).parent


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _all_there(folder: Path) -> bool:
    return all((folder / name).exists() for name in pinned())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


app = typer.Typer(add_completion=False)


@app.command()
def main(
    folder: Annotated[
        Path | None, typer.Argument(help="Where to put them; by default where `make run` does.")
    ] = None,
    relock: Annotated[
        bool, typer.Option("--pin", help="Resolve anew and rewrite jars.sha256.")
    ] = False,
) -> None:
    """Fetch the jars of Kafka and of Spark's Kafka connector, each checked against jars.sha256."""
    try:
        settings = load(LocalSettings)
        folder = folder or settings.state / "jars"
        java = java_runtime.find(settings.state / "java")
        (pin if relock else ensure)(folder.resolve(), java, settings.maven_repository)
    except RecommenderError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
