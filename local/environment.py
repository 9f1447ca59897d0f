"""Where the running stack's stores and services are, as environment variables."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from recommender.errors import MissingRequirement
from recommender.settings import PREFIX
from storage.settings import KafkaSettings, PostgresSettings, RedisSettings

ADDRESSES = ("KAFKA_BOOTSTRAP_SERVERS", "POSTGRES_DSN", "REDIS_URL", "INGEST_URL", "PREDICTOR_URL")
"""What every service of a running stack has been told, without the prefix."""

_WANTED = frozenset(
    PREFIX + name
    for name in (
        *ADDRESSES,
        *(
            field.upper()
            for kind in (KafkaSettings, PostgresSettings, RedisSettings)
            for field in kind.model_fields
        ),
    )
)


def of_running(state: Path) -> dict[str, str]:
    """The variables by which a program of ours finds the stack that runs on a state folder.

    They are read from a running service: what it was told is what is true, the ports of this run
    and the password that the state folder keeps included.

    Parameters
    ----------
    state : Path
        The folder of `LocalSettings.state`.

    Returns
    -------
    dict
        Name to value, sorted by name.

    Raises
    ------
    MissingRequirement
        If no stack runs on this folder, or it has not got as far as starting services.
    """
    for environment in _children(state):
        found = {name: value for name, value in environment.items() if name in _WANTED}
        if all(PREFIX + name in found for name in ADDRESSES):
            return dict(sorted(found.items()))
    raise MissingRequirement(
        f"Nothing runs on {state}: start the stack by `make run`, or name the folder of the one "
        "that runs by RECOMMENDER_STATE."
    )


def exports(environment: Mapping[str, str]) -> str:
    """Lines for ``eval`` in a shell.

    Examples
    --------
    >>> exports({"RECOMMENDER_DATA": "it's mine"})
    'export RECOMMENDER_DATA=\\'it\\'"\\'"\\'s mine\\''
    """
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())


def _children(state: Path) -> list[dict[str, str]]:
    """The environments of those Python programs that a run notes as its own and that live."""
    try:
        noted = json.loads((state / "children.json").read_text())
    except (FileNotFoundError, ValueError):
        return []
    environments = []
    for pid, created in noted:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            # Stores only inherit what the shell had; services, `python -m NAME`, were told.
            if process.create_time() == created and "-m" in process.cmdline()[1:2]:
                environments.append(process.environ())
    return environments
