"""``python -m local.traffic``: streams the newer part of the data through ingest's HTTP API.

It notes how far it has come after each acknowledgement, and goes on from there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import structlog
import tenacity
import typer
from pydantic import Field, SecretStr

from local import backlog, data
from local.settings import LocalSettings
from recommender.errors import RecommenderError, Unavailable
from recommender.settings import load
from service.logs import configure_logs

# Seconds between two requests: smooth for whoever watches, few requests for the service.
INTERVAL = 0.1
LONGEST_LIST = 1000  # ratings in one request
# Seconds of delay that are made up for; after a longer pause it just goes on at the rate.
CATCH_UP = 5.0
# Seconds that the ingest service may be away before this gives up and is started anew.
PATIENCE = 120.0

log = structlog.get_logger(__name__)


class TrafficSettings(LocalSettings):
    """Where the traffic goes."""

    ingest_url: str = Field("http://127.0.0.1:8081", description="The ingest service.")
    http_api_keys: SecretStr | None = Field(
        None, description="API keys of ingest, if it has any; the first of them is brought."
    )

    @property
    def headers(self) -> dict[str, str]:
        """What every request brings."""
        keys = self.http_api_keys.get_secret_value() if self.http_api_keys else ""
        key = keys.partition(",")[0].strip()
        return {"Authorization": f"Bearer {key}"} if key else {}


class Progress:
    """How many ratings of the live part have been acknowledged, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> int:
        """How many so far."""
        try:
            return int(self._path.read_text())
        except FileNotFoundError:
            return 0

    def write(self, done: int) -> None:
        """Note how many."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(str(done))
        fresh.replace(self._path)


class Pace:
    """Lists of equal size at equal intervals.

    Parameters
    ----------
    rate : float
        Ratings per second.
    now, sleep : callable
        Clock, in seconds, and how to wait.

    Examples
    --------
    >>> Pace(rate=1000).size, Pace(rate=2).size
    (100, 1)
    """

    def __init__(
        self,
        rate: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.size = min(max(1, round(rate * INTERVAL)), LONGEST_LIST)
        self._period = self.size / rate
        self._now = now
        self._sleep = sleep
        self._due = now()

    def wait(self) -> None:
        """Sleep until the next list is due."""
        late = self._now() - self._due
        if late < 0:
            self._sleep(-late)
        elif late > CATCH_UP:
            self._due += late
        self._due += self._period


def send(client: httpx.Client, ratings: list[dict[str, Any]]) -> None:
    """Send ratings until ingest has acknowledged them all.

    Raises
    ------
    Unavailable
        If it does not within `PATIENCE`.
    httpx.HTTPStatusError
        If it refuses them.
    """

    def attempt() -> None:
        answer = client.post("/ratings", json=ratings)
        if answer.status_code in (429, 503):
            raise Unavailable("ingest", answer.text)
        answer.raise_for_status()

    try:
        tenacity.Retrying(
            stop=tenacity.stop_after_delay(PATIENCE),
            wait=tenacity.wait_exponential(multiplier=0.1, max=2),
            retry=tenacity.retry_if_exception_type((httpx.TransportError, Unavailable)),
            reraise=True,
        )(attempt)
    except httpx.TransportError as error:
        raise Unavailable("ingest", f"{error!r} for {PATIENCE:g} s") from error


def stream(
    ratings: Iterator[dict[str, Any]], client: httpx.Client, pace: Pace, progress: Progress
) -> None:
    """Send all of them."""
    done = progress.read()
    while some := list(islice(ratings, pace.size)):
        pace.wait()
        send(client, some)
        done += len(some)
        progress.write(done)


def main() -> None:
    """Stream what is left of the live part, then end."""
    try:
        settings = load(TrafficSettings)
        configure_logs("info")
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log every request
        source = data.choose(settings)
        part = backlog.cut(source.load(), source.backlog)
        progress = Progress(settings.state / "streamed")
        left = part.live[progress.read() :]
        log.info("streaming", ratings=len(left), rate=settings.rate)
        with httpx.Client(
            base_url=settings.ingest_url, timeout=30, headers=settings.headers
        ) as client:
            records = (rating.model_dump() for rating in backlog.ratings(part.dataset, left))
            stream(records, client, Pace(settings.rate), progress)
        log.info("all ratings have been streamed")
    except (RecommenderError, httpx.HTTPStatusError) as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
