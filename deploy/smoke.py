"""One smoke test for every installation: posts a rating, and sees it in the answers.

The same program for `make run`, docker-compose (`make smoke URL=...`) and the chart's `helm test`
pod. It needs nothing but Python, and leaves one rating of a user ``smoke-...`` behind.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import uuid
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

_PAUSE = 0.5  # seconds between two attempts
_ANSWER_WITHIN = 10.0  # seconds for one request; longer than `after` waits for the model
_ITEMS = 20  # of the catalogue, one of which is rated


class Failed(Exception):
    """Something is not as it must be; the message is one sentence."""


class Smoke:
    """The test.

    Parameters
    ----------
    ingest, predictor : str
        Addresses of the two APIs.
    frontend : str or None
        Address of the pages; None: they are not tried.
    timeout : float
        Seconds for each step, start of the services and learning of the rating among them.
    say : callable
        Takes a line for people.
    """

    def __init__(
        self,
        ingest: str,
        predictor: str,
        frontend: str | None,
        timeout: float,
        say: Callable[[str], None],
    ) -> None:
        self._ingest = ingest.rstrip("/")
        self._predictor = predictor.rstrip("/")
        self._frontend = frontend.rstrip("/") if frontend else None
        self._timeout = timeout
        self._say = say

    def run(self) -> None:
        """Try everything.

        Raises
        ------
        Failed
            At the first step that does not come true in time.
        """
        services = {"ingest": self._ingest, "predictor": self._predictor}
        if self._frontend:
            services["frontend"] = self._frontend
        for name, url in services.items():
            self._step(f"{name} is ready", partial(ask, f"{url}/health/ready"))
            self._step(f"{name} has metrics", partial(_metrics, url))
        if self._frontend:
            self._step("the pages are served", self._page)
        user, item = f"smoke-{uuid.uuid4().hex[:12]}", self._step("an item to rate", self._item)
        place = self._step(f"{user} rates {item}", lambda: self._rate(user, item))
        after = f"{place['partition']}:{place['offset']}"
        self._step("the rating is learned", lambda: self._learned(user, item, after))
        self._step("it is listed", lambda: self._listed(user, item))
        self._step("a rating is predicted", lambda: self._predicted(user, item))

    def _step(self, what: str, attempt: Callable[[], Any]) -> Any:
        """Try until it comes true; what it gave."""
        started = time.monotonic()
        while True:
            try:
                result = attempt()
            except Failed as failure:
                if time.monotonic() - started > self._timeout:
                    raise Failed(f"{what}: not within {self._timeout:g} s: {failure}") from None
                time.sleep(_PAUSE)
            else:
                self._say(f"ok    {what} ({time.monotonic() - started:.2f} s)")
                return result

    def _page(self) -> None:
        page = fetch(f"{self._frontend}/").decode(errors="replace")
        require("<html" in page.lower(), "the first page is no HTML")

    def _item(self) -> str:
        """Some item of the catalogue; where there is none yet, one of our own."""
        found = ask(f"{self._predictor}/items/search?{urlencode({'q': '', 'n': _ITEMS})}")["items"]
        return str(found[-1]["item"]) if found else "smoke"

    def _rate(self, user: str, item: str) -> dict[str, Any]:
        scale = ask(f"{self._predictor}/predict?{urlencode({'user': user, 'item': item})}")
        # What is expected lies on the scale, whichever that is. The event id makes it count once.
        rating = round(float(scale["items"][0]["score"]))
        body = {"user": user, "item": item, "rating": rating, "event_id": user}
        accepted = ask(f"{self._ingest}/ratings", body)
        require(accepted["accepted"] == 1, f"ingest answered {accepted}")
        place: dict[str, Any] = accepted["records"][0]
        return place

    def _learned(self, user: str, item: str, after: str) -> None:
        query = urlencode({"user": user, "after": after, "n": 5})
        answer = ask(f"{self._predictor}/recommend?{query}")
        shown = [one["item"] for one in answer["items"]]
        require(item not in shown, f"{item} is recommended although {user} has rated it")
        partition, offset = after.split(":")
        learned = int(answer["as_of"]["offsets"][partition])
        require(learned > int(offset), f"the answer is as of {learned}, the rating is at {offset}")

    def _listed(self, user: str, item: str) -> None:
        rated = ask(f"{self._predictor}/users/{quote(user)}/ratings")["items"]
        require([one["item"] for one in rated] == [item], f"{user} has rated {rated}")

    def _predicted(self, user: str, item: str) -> None:
        answer = ask(f"{self._predictor}/predict?{urlencode({'user': user, 'item': item})}")
        (prediction,) = answer["items"]
        require(answer["model"] is not None, "no model answered")
        require(math.isfinite(prediction["score"]), f"the prediction is {prediction['score']}")


def _metrics(url: str) -> None:
    text = fetch(f"{url}/metrics").decode()
    require("http_requests_total" in text, "the metrics do not count requests")


def require(true: bool, otherwise: str) -> None:
    """Raise `Failed` unless it is true."""
    if not true:
        raise Failed(otherwise)


def ask(url: str, body: Any = None) -> Any:
    """The JSON that an address answers with; `body` is posted as JSON."""
    try:
        return json.loads(fetch(url, body))
    except ValueError:
        raise Failed(f"{url} did not answer with JSON") from None


def fetch(url: str, body: Any = None) -> bytes:
    """What an address answers with.

    Raises
    ------
    Failed
        If there is no answer, or one with an error.
    """
    data = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        with urlopen(Request(url, data, headers), timeout=_ANSWER_WITHIN) as answer:
            content: bytes = answer.read()
            return content
    except HTTPError as error:
        said = error.read(500).decode(errors="replace")
        raise Failed(f"{url} answered {error.code}: {said}") from None
    except (URLError, OSError, HTTPException) as error:
        raise Failed(f"{url} does not answer ({error})") from None


def beside(frontend: str, port: int) -> str:
    """Address of another service on the same machine."""
    parts = urlsplit(frontend)
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def main(arguments: list[str] | None = None) -> int:
    """Run; the exit status."""
    parser = argparse.ArgumentParser(prog="smoke", description=__doc__)
    parser.add_argument("--frontend", help="address of the pages")
    parser.add_argument("--ingest", help="default: port 8081 of the pages' machine")
    parser.add_argument("--predictor", help="default: port 8082 of the pages' machine")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for each step")
    given = parser.parse_args(arguments)
    if not given.frontend and not (given.ingest and given.predictor):
        parser.error("name --frontend, or both --ingest and --predictor")
    smoke = Smoke(
        given.ingest or beside(given.frontend, 8081),
        given.predictor or beside(given.frontend, 8082),
        given.frontend,
        given.timeout,
        lambda line: print(line, flush=True),  # noqa: T201
    )
    try:
        smoke.run()
    except Failed as failure:
        print(f"FAILED {failure}", file=sys.stderr)  # noqa: T201
        return 1
    print("all is well")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
