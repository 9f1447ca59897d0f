"""Servers to compare services with: ``python -m benchmarks.no_op {plain,bare} PORT [WORKERS]``.

``plain`` is FastAPI under uvicorn as the services run it, without any middleware, with one route
that returns an empty response. ``bare`` reads no request at all: it is how fast the load generator
gets where nothing holds it up.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.responses import Response

from benchmarks.with_no_op import PATH
from local.ports import HOST

app = FastAPI()


@app.get(PATH)
@app.get("/health/live")
async def nothing() -> Response:
    """Answer 200 with an empty object."""
    return Response(b"{}", media_type="application/json")


class Bare(asyncio.Protocol):
    """Answers each piece of data that comes: wrk sends a request in one."""

    _ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection to answer on."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self._transport.write(self._ANSWER)


async def bare(port: int) -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(Bare, HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    kind, port, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if kind == "bare":
        uvloop.run(bare(port))
    else:
        uvicorn.run(
            "benchmarks.no_op:app",
            host=HOST,
            port=port,
            workers=workers,
            access_log=False,
            log_level="warning",
            server_header=False,
        )
