"""Makes the virtual environment `.venv` from the pinned, hashed files beside this one.

Runs before anything is installed: standard library only, and nothing that a Python older than the
one needed cannot read, so that it gets as far as saying so. ``make`` calls it before every target;
when the lock files are unchanged it returns at once.
"""
# ruff: noqa: T201 - there is no logger yet

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parent / ".venv"
PYTHON = VENV / "bin" / "python"
UV_FOLDER = VENV / "uv"
MINIMUM = (3, 11)
# What uv says while all is well: of single packages, and of the whole.
OF_A_PACKAGE = re.compile(r" *(?:[-+~] |Downloading |Downloaded )\S+")
OF_ALL = re.compile(r" *(?:Resolved|Prepared|Uninstalled|Installed|Audited|Building|Built) \S+")


class MissingRequirement(Exception):
    """The machine lacks something; the message is one sentence with the way out."""


def digest(*names: str) -> str:
    """One checksum over the given files of this folder and the Python version."""
    total = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for name in names:
        total.update((HERE / name).read_bytes())
    return total.hexdigest()


def read(path: Path) -> str:
    """Contents of a small file, or the empty string."""
    try:
        return path.read_text()
    except OSError:
        return ""


def write(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.replace(path)


def check_machine() -> None:
    """Refuse a Python that is too old or cannot make virtual environments."""
    version = ".".join(str(part) for part in sys.version_info[:2])
    if sys.version_info < MINIMUM:
        raise MissingRequirement(
            f"Python {MINIMUM[0]}.{MINIMUM[1]} or newer is needed, but {sys.executable} is "
            f"{version}: install a newer one, or name it, e.g. `make PYTHON=python3.12`."
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        raise MissingRequirement(
            f"This Python ({sys.executable}) cannot make virtual environments (it has no module "
            f"{error.name}): install that, on Debian and Ubuntu by `apt-get install "
            f"python{version}-venv`, or name another Python, e.g. `make PYTHON=python3.12`."
        ) from None


def run(what: str, *command: object, said: bool = True) -> None:
    """Run a command whose failure ends the bootstrap with a sentence.

    Parameters
    ----------
    what : str
        Printed first.
    command : str or Path
    said : bool
        Whether to pass on what it says on standard output; of standard error see `pass_on`.
    """
    print("- " + what, flush=True)
    output = None if said else subprocess.DEVNULL
    with subprocess.Popen(
        [str(part) for part in command],
        stdout=output,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    ) as process:
        assert process.stderr is not None
        pass_on(process.stderr, sys.stderr)
    if process.returncode != 0:
        raise MissingRequirement(
            f"{what} failed, as said above: check the network (pip's and uv's own settings for a "
            "mirror are honoured) and run make again; it goes on where it stopped."
        )


def pass_on(said, screen):
    """Pass on the lines of uv or pip, progress so that it takes one line of a terminal.

    In a log it takes a few lines: none about single packages. All else, as are errors, is whole.
    """
    shown = False
    for line in said:
        of_a_package = OF_A_PACKAGE.match(line)
        if (of_a_package or OF_ALL.match(line)) and screen.isatty():
            screen.write("\r\x1b[2K  " + line.strip())
            shown = True
        elif not of_a_package:
            screen.write(("\n" if shown else "") + "  " + line)
            shown = False
        screen.flush()
    if shown:
        screen.write("\r\x1b[2K")


def venv_fits() -> bool:
    """Whether the virtual environment runs, with this version of Python."""
    if not PYTHON.exists():
        return False
    answer = subprocess.run(
        [str(PYTHON), "-c", "import sys; print(*sys.version_info[:2])"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return answer.stdout.split() == [str(part).encode() for part in sys.version_info[:2]]


def install() -> None:
    """Make the environment hold exactly what the lock files say."""
    check_machine()
    if not venv_fits():
        run("Making .venv", sys.executable, "-m", "venv", "--clear", "--without-pip", VENV)
    pinned_uv = digest("uv.txt")
    if read(UV_FOLDER / ".installed") != pinned_uv:
        run("Preparing pip", PYTHON, "-m", "ensurepip", "--upgrade", "--default-pip", said=False)
        shutil.rmtree(UV_FOLDER, ignore_errors=True)
        run(
            "Installing uv",
            *[PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"],
            *["--require-hashes", "--only-binary", ":all:", "--target", UV_FOLDER],
            *["-r", HERE / "uv.txt"],
        )
        write(UV_FOLDER / ".installed", pinned_uv)
    run(
        "Installing the dependencies",
        *[UV_FOLDER / "bin" / "uv", "pip", "sync", "--python", PYTHON, "--require-hashes"],
        *["--build-constraints", HERE / "build.txt", HERE / "all.txt"],
    )


def main() -> int:
    """Install unless the stamp says that it is done; the exit status."""
    stamp = VENV / ".installed"
    try:
        wanted = digest("uv.txt", "build.txt", "all.txt")
        if read(stamp) != wanted or not PYTHON.exists():
            install()
            write(stamp, wanted)
    except MissingRequirement as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
