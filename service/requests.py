"""What happens to every request: an id, a size limit, a measurement, a last resort.

One pure ASGI middleware for all of it: each layer costs microseconds of a request that takes a
hundred.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Mapping
from http import HTTPStatus
from time import perf_counter

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import metrics
from service.keys import Keys
from service.logs import REQUEST_ID
from service.problems import internal_error, problem

log = structlog.get_logger(__name__)

_USABLE_ID = re.compile(rb"[A-Za-z0-9._\-]{1,128}")
NO_KEY = "This needs one of the service's API keys: Authorization: Bearer KEY, or X-API-Key: KEY."
_CLIENT_LEFT = 499  # nginx's number for it; never sent, only counted


class RequestMiddleware:
    """Give each request an id, refuse too large bodies, measure, and answer 500 as a problem.

    Parameters
    ----------
    app : ASGIApp
        The application around which this goes.
    max_body : int
        Largest request body, bytes; more is answered with 413.
    uploads : mapping of str to int
        The same for addresses that read their body part by part.
    keys : Keys, optional
        One of which every request that writes must bring.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_body: int,
        uploads: Mapping[str, int] | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._app = app
        self._keys = keys or Keys([])
        self._max_body = max_body
        self._uploads = uploads or {}
        # Unique among processes by the first part, within one by the count; cheaper than a UUID.
        self._id_start = os.urandom(6).hex()
        self._count = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; anything but HTTP is passed on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = perf_counter()
        given_id, length, chunked = _headers(scope)
        request_id = given_id or f"{self._id_start}-{next(self._count):x}".encode()
        REQUEST_ID.set(request_id.decode())  # the server runs each request in a context of its own
        status = 0
        most = self._uploads.get(scope["path"], self._max_body) if self._uploads else self._max_body

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        try:
            if self._keys and not self._keys.allow(scope):
                refused = problem(
                    HTTPStatus.UNAUTHORIZED, NO_KEY, headers={"WWW-Authenticate": "Bearer"}
                )
                await refused(scope, receive, send_with_id)
            elif length > most:
                too_large = problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(most))
                await too_large(scope, receive, send_with_id)
            else:
                limited = _limited(receive, most) if chunked else receive
                await self._app(scope, limited, send_with_id)
        except Exception:
            route = _template(scope)
            metrics.EXCEPTIONS.labels(route).inc()
            log.exception("unexpected exception", method=scope["method"], route=route)
            if status:
                raise  # too late for an answer: the server must cut the connection
            await internal_error()(scope, receive, send_with_id)
        finally:
            seconds = perf_counter() - begin
            route = _template(scope)
            metrics.observe(scope["method"], route, status or _CLIENT_LEFT, seconds)
            log.debug(
                "request",
                method=scope["method"],
                route=route,
                status=status or _CLIENT_LEFT,
                milliseconds=seconds * 1e3,
            )


def _limited(receive: Receive, most: int) -> Receive:
    """Count the bytes of a body of unannounced length (``Transfer-Encoding: chunked``)."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            if size > most:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(most))
        return message

    return limited


def _too_large(most: int) -> str:
    return f"The body is larger than {most} bytes; send it in parts."


def _headers(scope: Scope) -> tuple[bytes | None, int, bool]:
    """The request's own id where usable, the announced length of its body, and whether chunked."""
    request_id: bytes | None = None
    length = 0
    chunked = False
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            # int() refuses more than 4,300 digits; 18 are more than any limit.
            length = int(value) if len(value) <= 18 else sys.maxsize
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"x-request-id" and _USABLE_ID.fullmatch(value):
            request_id = value
    return request_id, length, chunked


def _template(scope: Scope) -> str:
    route = scope.get("route")
    return getattr(route, "path", metrics.UNMATCHED)
