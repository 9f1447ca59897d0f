"""Spark's Python workers are forked from the modeler: what it has imported they need not import.

By itself Spark starts a Python daemon that forks its workers, and they import everything anew while
the first micro-batch waits: some 4 s of a core, at a time when Java wants both. So the modeler
forks a process (a zygote) before anything else of it runs, which loads the kernels while Java
starts. What Spark starts as its daemon, `modeler.daemon`, only hands its pipes to the zygote, which
forks the real one. On executors elsewhere there is no zygote, and all is as Spark has it.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

from pyspark import daemon

_PIPES = 3  # standard input, output and error


class Zygote:
    """A process that Spark's Python daemons are forked from; it ends with this one, in any case.

    Parameters
    ----------
    folder : Path
        Its socket is made there.
    warm_up : callable
        Called in it, beside whatever this process does next.

    Attributes
    ----------
    address : Path
        Of its socket.

    Raises
    ------
    OSError
        If the socket cannot be made; a path of more than some 100 bytes is too long for one.

    Notes
    -----
    To be made while this process has one thread: others would be missing in the fork, and what they
    lock would be locked for ever.
    """

    def __init__(self, folder: Path, warm_up: Callable[[], object]) -> None:
        self.address = folder / "zygote"
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.address))
            listening.listen()
            parent, self._alive = os.pipe()  # its end is that of this process
            sys.stdout.flush()
            sys.stderr.flush()
            self._pid = os.fork()
            if self._pid == 0:
                os.close(self._alive)
                _end_with(partial(_serve, listening, parent, warm_up))
            os.close(parent)

    def close(self) -> None:
        """End it; the daemons that it has forked end with Spark."""
        os.close(self._alive)
        os.waitpid(self._pid, 0)


def _serve(listening: socket.socket, parent: int, warm_up: Callable[[], object]) -> None:
    """Fork a daemon for each process that asks for one, until the parent has ended."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a daemon has ended
    warm_up()
    gc.freeze()  # or collecting garbage would copy the pages that all forks share
    while parent not in select.select([listening.fileno(), parent], [], [])[0]:
        asking, _ = listening.accept()
        with asking:
            if os.fork() == 0:
                os.close(parent)
                listening.close()
                _end_with(partial(_become_daemon, asking))


def _become_daemon(asking: socket.socket) -> None:
    """Go on as Spark's daemon, with the pipes, environment and arguments of the one that asks.

    That one takes the socket's end for its own, so it stays open.
    """
    _, pipes, _, _ = socket.recv_fds(asking, 1, _PIPES)
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
        os.close(pipe)
    with asking.makefile("rb") as said:
        told = json.load(said)
    os.environ.clear()
    os.environ.update(told["environment"])
    sys.argv = told["arguments"]
    daemon.manager()


def _end_with(last: Callable[[], object]) -> NoReturn:
    """Call it in a fork: nothing that the parent was about to do may happen twice."""
    status = 0
    try:
        last()
    except SystemExit as wanted:
        status = wanted.code if isinstance(wanted.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    finally:
        os._exit(status)
