"""Free ports for the stores, and whether a port that somebody asked for is free."""

from __future__ import annotations

import socket

from recommender.errors import MissingRequirement

HOST = "127.0.0.1"


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as listener:
        # As servers do: the remains of closed connections are no hindrance.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
        return True


def free(count: int) -> list[int]:
    """Different free ports, chosen by the system."""
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind((HOST, 0))
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


def require_free(port: int, setting: str, host: str = HOST) -> None:
    """Refuse a port that is taken.

    Raises
    ------
    MissingRequirement
        Naming the setting that chooses another.
    """
    if not is_free(port, host):
        raise MissingRequirement(
            f"Port {port} of {host} is taken: end what uses it, or choose another port by "
            f"{setting}, e.g. `{setting}={port + 1000} make run`."
        )
