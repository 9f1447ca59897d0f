"""What a container is to a program, without a container engine.

A private view of a root that cannot be written, a fresh /tmp, processes of its own, and a user that
nobody knows: no name, group 0, no capabilities. The network is the machine's own. Needs root, as CI
has, for it makes mounts.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.tools import REPOSITORY

IMAGES = REPOSITORY / "deploy" / "images"

UID = 1234567  # as OpenShift assigns them: no line in /etc/passwd

_INSIDE = r"""
set -e
mount --make-rprivate /
mount --rbind "$ROOT" "$NEW"
mount -o remount,bind,ro "$NEW"
for folder in dev sys; do
    [ "$ROOT" = / ] || mount --rbind "/$folder" "$NEW/$folder"
done
mount -t tmpfs -o mode=1777 tmpfs "$NEW/tmp"
mount -t proc proc "$NEW/proc"
for source in $SHARED; do
    mkdir "$NEW/tmp/${source##*/}"
    mount --bind "$source" "$NEW/tmp/${source##*/}"
    mount -o remount,bind,ro "$NEW/tmp/${source##*/}"
done
# An interpreter that lies where only root may look, as below /root, is shown at its place alone.
if [ -n "$HIDDEN" ]; then
    mount -t tmpfs -o mode=755 tmpfs "$NEW$HIDDEN"
    mkdir -p "$NEW$PREFIX"
    mount --bind "$PREFIX" "$NEW$PREFIX"
fi
cd /
exec chroot "$NEW" setpriv --reuid "$USER_ID" --regid 0 --clear-groups --no-new-privs \
    --inh-caps=-all --bounding-set=-all env -i -C /tmp $ENVIRONMENT "$@"
"""


def reason_against() -> str | None:
    """Why containers cannot be had here; None: they can."""
    if os.geteuid() != 0:
        return "mounts for a container's view of the machine need root"
    for program in ("unshare", "setpriv", "chroot"):
        if shutil.which(program) is None:
            return f"there is no {program} on this machine"
    done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True)
    return None if done.returncode == 0 else f"unshare: {done.stderr.decode().strip()}"


def hidden(path: Path) -> Path | None:
    """The outermost folder of a path that others than its owner may not enter."""
    folders = [*reversed(path.parents), path]
    return next((one for one in folders if not one.stat().st_mode & stat.S_IXOTH), None)


def image_environment() -> dict[str, str]:
    """What the Dockerfile sets for both images."""
    text = (IMAGES / "Dockerfile").read_text()
    (block,) = re.findall(r"AS runtime\n.*?^ENV (.*?[^\\])\n", text, re.DOTALL | re.MULTILINE)
    return dict(word.split("=", 1) for word in shlex.split(block.replace("\\\n", " ")))


@dataclass
class Container:
    """One run of the entrypoint.

    Parameters
    ----------
    folder : Path
        For the view's mount point and the log.
    environment : dict
        Beside what the image sets.
    root : Path
        Where the root file system is; ``/``: the machine's own, with this repository and its
        environment in the place of the image's.
    """

    folder: Path
    environment: dict[str, str]
    root: Path = Path("/")

    def start(self, *arguments: str, program: str | None = None) -> subprocess.Popen[bytes]:
        """Start ``entrypoint.sh`` with arguments, or another program; output goes to `log`."""
        self.folder.mkdir(exist_ok=True)
        new = self.folder / "root"
        new.mkdir(exist_ok=True)
        given = image_environment()
        shared: list[Path] = []
        if self.root == Path("/"):
            programs = self._programs()
            shared = [REPOSITORY.resolve(), programs]
            repository = f"/tmp/{REPOSITORY.resolve().name}"
            given |= {
                "PATH": f"{repository}/.venv/bin:{given['PATH']}",
                "PYTHONPATH": repository,
                "RECOMMENDER_PROGRAMS": f"/tmp/{programs.name}",
            }
            entrypoint = f"/tmp/{programs.name}/entrypoint.sh"
        else:
            entrypoint = "/opt/recommender/entrypoint.sh"
        variables = {
            "ROOT": str(self.root),
            "NEW": str(new),
            "SHARED": " ".join(str(path) for path in shared),
            "USER_ID": str(UID),
            "PREFIX": sys.base_prefix,
            "HIDDEN": str(hidden(Path(sys.base_prefix)) or "") if shared else "",
            "ENVIRONMENT": " ".join(f"{k}={v}" for k, v in {**given, **self.environment}.items()),
        }
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [
                    *["unshare", "--mount", "--pid", "--fork", "--kill-child"],
                    *["sh", "-c", _INSIDE, "sh", program or entrypoint, *arguments],
                ],
                env={"PATH": os.environ["PATH"], **variables},
                stdout=output,
                stderr=output,
            )

    def run(self, *arguments: str, program: str | None = None) -> int:
        """Run to the end; the exit status."""
        return self.start(*arguments, program=program).wait(120)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def said(self) -> str:
        return self.log.read_text()

    def _programs(self) -> Path:
        """The image's own programs, as they lie together there."""
        programs = self.folder / "programs"
        if not programs.exists():
            shutil.copytree(IMAGES, programs)
            shutil.copy(REPOSITORY / "deploy" / "smoke.py", programs)
        return programs


def terminate(process: subprocess.Popen[bytes], within: float) -> int:
    """SIGTERM to the container's first process, as a cluster does; its exit status."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 5
    while not (first := children.read_text().split()):
        assert time.monotonic() < deadline, "the container has no process"
        time.sleep(0.05)
    os.kill(int(first[0]), signal.SIGTERM)
    return process.wait(within)
