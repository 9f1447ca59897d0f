"""Between the process that writes the item side and those that read it: who is told what, when.

Before the writer changes anything every reader stops, between two requests, until it has been told
of the change: no answer is computed from a half-done one. A reader that does not stop in time, or
is gone, is left out; it notices, and begins anew.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from predictor.shared_arrays import Opener, Parcel

log = structlog.get_logger(__name__)

STOPS_WITHIN = 1.0
"""Seconds that a reader may take to come to the end of what it is at: a request takes a few ms, of
many items some hundreds."""

TOLD_WITHIN = 5.0
"""Seconds that a reader stands still for at most; a change takes some ms."""

_HEADER = struct.Struct(">cIH")  # kind, bytes that follow, file descriptors that come along
_STOP, _STATE, _NEWS = b"s", b"t", b"n"
_STOPPED = b"o"
_MOST_DESCRIPTORS = 250  # of one message, as Linux has it


class Message(NamedTuple):
    """What a reader is told.

    Attributes
    ----------
    whole : bool
        Whether it comes with the state, or is only news beside it.
    content : object
    """

    whole: bool
    content: Any


class Sender:
    """The writer's side; belongs to one event loop.

    Parameters
    ----------
    path : Path
        Of the socket; one that lies there is taken for left over.
    state : callable
        Gives, after a change or (True) for somebody new, what readers are told.
    """

    def __init__(self, path: Path, state: Callable[[bool], object]) -> None:
        self._state = state
        self._readers: list[socket.socket] = []
        self._new: list[socket.socket] = []
        self._changing = asyncio.Lock()
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._listener.bind(str(path))
        self._listener.listen()
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Leave the readers alone."""
        asyncio.get_running_loop().remove_reader(self._listener)
        for one in (self._listener, *self._readers, *self._new):
            one.close()
        self._readers, self._new = [], []

    @asynccontextmanager
    async def change(self) -> AsyncIterator[None]:
        """While within it nobody reads; then all are told the new state."""
        async with self._changing:
            stopped = await asyncio.gather(*map(self._stop, self._readers))
            self._keep([one for one, has in zip(self._readers, stopped, strict=True) if has])
            try:
                yield
            finally:
                self._tell(self._readers, _STATE, self._state(False))
        self._greet()

    def tell(self, news: object) -> None:
        """Tell the readers something beside the state, which they need not stop for."""
        if not self._changing.locked():
            self._tell(self._readers, _NEWS, news)

    def _accept(self) -> None:
        with suppress(OSError):
            reader, _ = self._listener.accept()
            reader.settimeout(STOPS_WITHIN)
            self._new.append(reader)
            self._greet()

    def _greet(self) -> None:
        """Give the state to who is new, unless it is being changed."""
        if self._new and not self._changing.locked():
            new, self._new = self._new, []
            self._readers += new
            self._tell(new, _STATE, self._state(True))

    async def _stop(self, reader: socket.socket) -> bool:
        loop = asyncio.get_running_loop()
        answered = asyncio.Event()
        try:
            reader.sendall(_HEADER.pack(_STOP, 0, 0))
            loop.add_reader(reader, answered.set)
            await asyncio.wait_for(answered.wait(), STOPS_WITHIN)
            return reader.recv(1) == _STOPPED
        except OSError as error:  # TimeoutError is one
            log.warning("a worker does not stop for a change", reason=str(error))
            return False
        finally:
            loop.remove_reader(reader)

    def _keep(self, readers: list[socket.socket]) -> None:
        for gone in set(self._readers) - set(readers):
            gone.close()
        self._readers = readers

    def _tell(self, readers: list[socket.socket], kind: bytes, content: object) -> None:
        if not readers:
            return
        parcel = Parcel(content)
        data = pickle.dumps((list(parcel.mappings), parcel.data), protocol=5)
        descriptors = list(parcel.mappings.values())
        header = _HEADER.pack(kind, len(data), len(descriptors))
        told = set()
        for reader in readers:
            with suppress(OSError):
                socket.send_fds(reader, [header], descriptors)
                reader.sendall(data)
                told.add(reader)
        self._keep([one for one in self._readers if one in told or one not in readers])


class Receiver:
    """A reader's side; belongs to one event loop.

    Parameters
    ----------
    path : Path
        Of the writer's socket.
    take : callable
        Is given each message, between two requests.

    Attributes
    ----------
    lost : Future
        Done once the writer is gone.

    Raises
    ------
    OSError
        If there is no writer.
    """

    def __init__(self, path: Path, take: Callable[[Message], None]) -> None:
        self._take = take
        self._opener = Opener()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(TOLD_WITHIN)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._socket, self._receive)

    def close(self) -> None:
        """Read nothing more."""
        if not self.lost.done():
            self.lost.set_result(None)
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    def _receive(self) -> None:
        try:
            message = self._read()
            if message is None:
                # In this call the event loop does nothing else: no request is being answered.
                self._socket.sendall(_STOPPED)
                while (message := self._read()) is None:
                    pass
            self._take(message)
        except (OSError, EOFError) as error:
            log.warning("the worker that writes is gone", reason=str(error))
            self.close()
        except Exception:
            log.exception("a message of the worker that writes cannot be taken over")
            self.close()

    def _read(self) -> Message | None:
        """The next message; None: stop."""
        header, descriptors, _, _ = socket.recv_fds(
            self._socket, _HEADER.size, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
        if len(header) < _HEADER.size:
            raise EOFError("it has closed its end")
        kind, length, _ = _HEADER.unpack(header)
        if kind == _STOP:
            return None
        data = bytearray(length)
        view = memoryview(data)
        while view:
            received = self._socket.recv_into(view)
            if not received:
                raise EOFError("it has closed its end")
            view = view[received:]
        names, packed = pickle.loads(data)
        content = self._opener.open(packed, dict(zip(names, descriptors, strict=True)))
        return Message(kind == _STATE, content)
