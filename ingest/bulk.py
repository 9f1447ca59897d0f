"""``POST /bulk/ratings`` and ``POST /bulk/items``: uploads of any length, read as they come.

The body is read part by part; one thread turns parts into records and hands them to Kafka. Right
lines are taken, wrong ones are named in the answer. Memory is bounded whatever the length.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ingest.lines import MAX_LINE, Form, ItemLines, Kind, Lines, RatingLines, Wrong
from ingest.publishing import RECORDS
from ingest.settings import IngestSettings
from recommender.clock import Clock
from recommender.errors import InvalidInput, RecommenderError, Unavailable
from recommender.ratings import Scale
from recommender.validation import presentable
from service.problems import MAX_ERRORS, ProblemField, problem, problem_responses
from storage.log import Record, load
from storage.topics import end_offsets

PART = 2**20
"""Bytes read together: some 10,000 ratings, long enough for Arrow to pay."""

WAITING_PARTS = 4
"""Parts that wait for the thread: the network is never idle, and no more is held in memory."""

PROGRESS_EVERY = 1.0
"""Seconds between two lines of progress."""

FORMS: dict[str, Form] = {
    "application/x-ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "text/csv": "csv",
}


class WrongLine(BaseModel):
    """A line that was not taken."""

    line: int = Field(description="Its number, from 1, the header of a CSV included.")
    errors: list[ProblemField]


class Uploaded(BaseModel):
    """What became of an upload."""

    accepted: int = Field(description="Lines that are in the log.")
    rejected: int = Field(description="Lines that are not, because they are wrong.")
    offsets: dict[str, int] = Field(
        description="The end of each partition of the topic afterwards: the upload has been "
        "learned when a model's `as_of.offsets` have got so far."
    )
    errors: list[WrongLine] = Field(description=f"The first {MAX_ERRORS} wrong lines.")


class Upload:
    """One upload: parts of a body in, records to Kafka, counts and wrong lines out.

    Parameters
    ----------
    settings : IngestSettings
    topic : str
    kind : Kind
    form : {'ndjson', 'csv'}
    publish : callable
        `storage.log.load`, or what behaves like it.
    """

    def __init__(
        self,
        settings: IngestSettings,
        topic: str,
        kind: Kind,
        form: Form,
        publish: Callable[[IngestSettings, str, Iterator[Record]], int],
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._publish = publish
        self._lines = Lines(kind, form, self._refuse)
        self._parts: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(WAITING_PARTS)
        self._loop = asyncio.get_running_loop()
        self.errors: list[Wrong] = []
        self.rejected = 0
        self.sent = 0
        self.accepted = 0

    async def run(self, body: AsyncIterator[bytes]) -> None:
        """Read the whole body and publish it.

        Raises
        ------
        Unavailable
            If Kafka did not take all of it; what was before may be in the log.
        InvalidInput
            If a line has no end; those before it are taken.
        """
        publishing = asyncio.create_task(
            asyncio.to_thread(self._publish, self._settings, self._topic, self._records())
        )
        try:
            rest = b""
            async for chunk in body:
                rest += chunk
                if len(rest) >= PART:
                    end = rest.rfind(b"\n") + 1
                    if not end:
                        raise InvalidInput("line", rest[:80], f"lines of at most {MAX_LINE} bytes")
                    await self._hand_over(rest[:end], publishing)
                    rest = rest[end:]
                if publishing.done():
                    break
            else:
                if rest:
                    await self._hand_over(rest, publishing)
        finally:
            self._parts.put(None)
            with suppress(RecommenderError):
                await asyncio.shield(publishing)
        try:
            self.accepted = publishing.result()
        except Unavailable:
            RECORDS.labels(self._topic, "unavailable").inc(self.sent)
            raise
        RECORDS.labels(self._topic, "accepted").inc(self.accepted)
        RECORDS.labels(self._topic, "rejected").inc(self.rejected)

    async def _hand_over(self, part: bytes, publishing: asyncio.Task[int]) -> None:
        waiting = asyncio.ensure_future(self._room.acquire())
        await asyncio.wait([waiting, publishing], return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            self._parts.put(part)
        else:
            waiting.cancel()

    def _records(self) -> Iterator[Record]:
        """In the thread: the records of all parts as they come."""
        while (part := self._parts.get()) is not None:
            for record in self._lines.records(part):
                self.sent += 1
                yield record
            self._loop.call_soon_threadsafe(self._room.release)

    def _refuse(self, wrong: Wrong) -> None:
        self.rejected += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(wrong)

    def progress(self) -> dict[str, Any]:
        """How far it is."""
        return {"lines": self._lines.read, "sent": self.sent, "rejected": self.rejected}

    def wrong_lines(self) -> list[dict[str, Any]]:
        """The wrong lines as the answer shows them."""
        return [
            {
                "line": wrong.line,
                "errors": [
                    {
                        "field": presentable(field),
                        "value": presentable(value),
                        "allowed": allowed,
                    }
                    for field, value, allowed in wrong.errors[:MAX_ERRORS]
                ],
            }
            for wrong in self.errors
        ]

    async def summary(self) -> dict[str, Any]:
        """The answer; see `Uploaded`."""
        ends = await asyncio.to_thread(end_offsets, self._settings, self._topic)
        return {
            "accepted": self.accepted,
            "rejected": self.rejected,
            "offsets": {str(partition): end for partition, end in sorted(ends.items())},
            "errors": self.wrong_lines(),
        }


def bulk_router(settings: IngestSettings, clock: Clock) -> APIRouter:
    """Build the routes.

    Parameters
    ----------
    settings : IngestSettings
    clock : Clock
        Gives ratings without a timestamp theirs.
    """
    router = APIRouter()
    ratings = RatingLines(Scale.of(settings), clock.now)

    async def upload(request: Request, topic: str, kind: Kind) -> Response:
        said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        form = FORMS.get(said)
        if form is None:
            raise HTTPException(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"Send lines, with the header Content-Type: {' or '.join(FORMS)}.",
            )
        if trouble := await request.app.state.log.trouble((topic,)):
            # Loading waits longer for Kafka than a request should, to find the same.
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(trouble))
        publish = getattr(request.app.state, "load", load)
        work = Upload(settings, topic, kind, form, publish)
        if "application/x-ndjson" in request.headers.get("accept", ""):
            return Told(_told(work, request))
        await work.run(request.stream())
        if work.rejected and not work.accepted:
            detail = f"None of {work.rejected} lines is right; send again with those corrected."
            return problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                detail,
                [
                    error._replace(field=f"line {wrong.line}: {error.field}")
                    for wrong in work.errors
                    for error in wrong.errors
                ],
            )
        return Response(
            orjson.dumps(await work.summary()), HTTPStatus.ACCEPTED, media_type="application/json"
        )

    @router.post(
        "/bulk/ratings",
        tags=["ratings"],
        status_code=HTTPStatus.ACCEPTED,
        summary="Upload many ratings",
        response_model=Uploaded,
        responses=problem_responses(415, 503),
        openapi_extra=_described(
            '{"user": "u1", "item": "318", "rating": 4.5}\n'
            '{"user": "u2", "item": "50", "rating": 2}\n',
            "user,item,rating,timestamp\nu1,318,4.5,1700000000\nu2,50,2,1700000001\n",
        ),
    )
    async def upload_ratings(request: Request) -> Response:
        """Lines of NDJSON or CSV, of any number; right ones are taken, wrong ones are named.

        The answer comes once Kafka has acknowledged all right lines. With `Accept:
        application/x-ndjson` the answer is a line of progress each second, and a last line that
        is the answer, or a problem.
        """
        return await upload(request, settings.ratings_topic, ratings)

    @router.post(
        "/bulk/items",
        tags=["items"],
        status_code=HTTPStatus.ACCEPTED,
        summary="Upload a catalogue",
        response_model=Uploaded,
        responses=problem_responses(415, 503),
        openapi_extra=_described(
            '{"item": "318", "title": "Se7en (1995)", "attributes": {"year": 1995}}\n',
            "item,title,genres,year\n318,Se7en (1995),Crime|Thriller,1995\n",
        ),
    )
    async def upload_items(request: Request) -> Response:
        """Like `/bulk/ratings`, for catalogue entries.

        In CSV, `genres` are separated by `|`, and columns beside `item`, `title`, `genres` and
        `year` are attributes with text.
        """
        return await upload(request, settings.items_topic, ItemLines())

    return router


class Told(Response):
    """An answer in lines, sent while the request's body is still being read.

    Starlette's StreamingResponse waits for the client's leaving by receiving messages itself, and
    so takes away parts of the body.
    """

    media_type = "application/x-ndjson"

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        super().__init__(status_code=HTTPStatus.ACCEPTED)
        del self.headers["content-length"]
        self._lines = lines

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send one line after the other."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        async for line in self._lines:
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _told(work: Upload, request: Request) -> AsyncIterator[bytes]:
    """Lines of progress, and the answer or the problem at last."""
    running = asyncio.create_task(work.run(request.stream()))
    try:
        while not running.done():
            await asyncio.wait([running], timeout=PROGRESS_EVERY)
            if not running.done():
                yield orjson.dumps({"progress": work.progress()}) + b"\n"
        await running
        yield orjson.dumps(await work.summary()) + b"\n"
    except RecommenderError as error:
        yield bytes(problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)).body) + b"\n"
    except HTTPException as error:
        yield bytes(problem(error.status_code, str(error.detail)).body) + b"\n"
    except ClientDisconnect:
        return
    finally:
        running.cancel()


def _described(ndjson: str, text: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/x-ndjson": {"schema": schema, "example": ndjson},
                "text/csv": {"schema": schema, "example": text},
            },
        }
    }
