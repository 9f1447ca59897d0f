"""What Spark starts as its Python daemon: it has the modeler's zygote be it, where there is one.

It imports next to nothing, for Spark waits for it.
"""

from __future__ import annotations

import json
import os
import socket
import sys

ADDRESS = "MODELER_ZYGOTE"
"""Environment variable with the path of the zygote's socket (`modeler.zygote`)."""


def main() -> None:
    """Be Spark's daemon, by the zygote or else oneself."""
    if not _by_zygote(os.environ.get(ADDRESS)):
        from pyspark import daemon

        daemon.manager()


def _by_zygote(address: str | None) -> bool:
    """Hand everything over and wait for the daemon's end; False where there is no zygote."""
    if address is None:
        return False
    with socket.socket(socket.AF_UNIX) as zygote:
        try:
            zygote.connect(address)
        except OSError:  # an executor elsewhere, or the zygote was killed
            return False
        told = {"environment": dict(os.environ), "arguments": sys.argv}
        socket.send_fds(zygote, [b"."], [0, 1, 2])
        zygote.sendall(json.dumps(told).encode())
        zygote.shutdown(socket.SHUT_WR)
        zygote.recv(1)
    return True


if __name__ == "__main__":
    main()
