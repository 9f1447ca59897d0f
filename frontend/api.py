"""The one client of the two services: bounded in time, tried again where that is safe.

What can go wrong comes out as two errors: `InvalidInput` when the service refused what was sent,
`Unavailable` for everything that later may work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from frontend.answers import (
    Accepted,
    Answer,
    Film,
    FilmMap,
    FilmRatings,
    ItemList,
    Model,
    People,
    Race,
    Record,
    Stream,
    Version,
    Versions,
)
from frontend.wishes import Wishes
from recommender.errors import InvalidInput, Unavailable

# A person is looking: better a panel that says "away" after two seconds than one that hangs.
TIMEOUT = httpx.Timeout(connect=1.0, read=4.0, write=4.0, pool=2.0)
# /recommend?after= waits in the predictor until the rating is learned; its own limit comes first.
LEARNING_TIMEOUT = httpx.Timeout(connect=1.0, read=15.0, write=4.0, pool=2.0)
ATTEMPTS = 3
GIVE_UP_AFTER = 2.0  # seconds
# A proxy's, or a service's own, word for "not now".
NOT_NOW = frozenset({429, 502, 503, 504})

NO_WISHES = Wishes()

SomeAnswer = TypeVar("SomeAnswer", bound=Answer)


class Api:
    """Ingest and predictor, as far as the pages need them.

    Parameters
    ----------
    ingest, predictor : httpx.AsyncClient
        Each with its `base_url`.
    """

    def __init__(self, ingest: httpx.AsyncClient, predictor: httpx.AsyncClient) -> None:
        self._ingest = ingest
        self._predictor = predictor

    @classmethod
    def at(cls, ingest_url: str, predictor_url: str, key: str | None = None) -> Api:
        """A client of the services at these addresses, with the API key of ingest if it has one."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return cls(
            httpx.AsyncClient(base_url=ingest_url, timeout=TIMEOUT, headers=headers),
            httpx.AsyncClient(base_url=predictor_url, timeout=TIMEOUT),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._ingest.aclose()
        await self._predictor.aclose()

    async def rate(
        self, user: str, item: str, rating: float, *, timestamp: float, event_id: str
    ) -> Record:
        """Post a rating; its place in the log.

        The `event_id` makes sending it again harmless, so a lost answer is no reason to fail.
        """
        body = {
            "user": user,
            "item": item,
            "rating": rating,
            "timestamp": timestamp,
            "event_id": event_id,
        }
        answer = await self._ask(
            "ingest", lambda: self._ingest.post("/ratings", json=body), Accepted
        )
        return _only(answer)

    async def undo(self, user: str, item: str, *, event_id: str) -> Record:
        """Take a rating back; the place in the log of that. As safe to send again as a rating."""
        path = f"/ratings/{quote(user, safe='')}/{quote(item, safe='')}"
        return await self._delete(path, event_id)

    async def forget(self, user: str, *, event_id: str) -> Record:
        """Forget a user and all their ratings; the place in the log of that."""
        return await self._delete(f"/users/{quote(user, safe='')}", event_id)

    async def _delete(self, path: str, event_id: str) -> Record:
        answer = await self._ask(
            "ingest",
            lambda: self._ingest.delete(path, params={"event_id": event_id}),
            Accepted,
        )
        return _only(answer)

    async def recommend(
        self, user: str, n: int, after: Record | None = None, wishes: Wishes = NO_WISHES
    ) -> ItemList:
        """The best items for a user, each with its explanation.

        With `after`, once that record is learned (bounded wait).
        """
        query: dict[str, Any] = {"user": user, "n": n, "explain": True, **wishes.query}
        if after is not None:
            query["after"] = str(after)
        timeout = TIMEOUT if after is None else LEARNING_TIMEOUT
        return await self._get("/recommend", query, ItemList, timeout)

    async def search(self, text: str, n: int) -> ItemList:
        """Items with a title like `text`; the most rated ones where it is empty."""
        return await self._get("/items/search", {"q": text, "n": n}, ItemList)

    async def ratings(self, user: str) -> ItemList:
        """What a user has rated; score = the rating."""
        return await self._get(f"/users/{quote(user, safe='')}/ratings", {}, ItemList)

    async def representative(self, n: int) -> ItemList:
        """Popular items that differ from each other: what to ask a newcomer about."""
        return await self._get("/items/representative", {"n": n}, ItemList)

    async def explain(self, user: str, items: list[str]) -> ItemList:
        """The expected ratings with what each adds up from."""
        query = {"user": user, "item": items, "explain": True}
        return await self._get("/predict", query, ItemList)

    async def film(self, item: str) -> Film:
        """What is known of an item; `InvalidInput` where there is no such item."""
        return await self._get(f"/items/{quote(item, safe='')}", {}, Film)

    async def film_ratings(self, item: str) -> FilmRatings:
        """How an item is rated."""
        return await self._get(f"/items/{quote(item, safe='')}/ratings", {}, FilmRatings)

    async def film_similar(self, item: str, n: int) -> ItemList:
        """Items like it; score = cosine."""
        return await self._get(f"/items/{quote(item, safe='')}/similar", {"n": n}, ItemList)

    async def film_users(self, item: str, n: int) -> People:
        """Who would like it best, of those who rated last; score = expected rating."""
        return await self._get(f"/items/{quote(item, safe='')}/users", {"n": n}, People)

    async def film_map(self, user: str | None, n: int) -> FilmMap:
        """The most rated items in a plane, and the user among them."""
        who = {} if user is None else {"user": user}
        return await self._get("/items/map", {"n": n, **who}, FilmMap)

    async def active_users(self, n: int) -> People:
        """Who rated last."""
        return await self._get("/users/active", {"n": n}, People)

    async def stream(self, n: int) -> Stream:
        """The last micro-batches, dead letters, freshness."""
        return await self._get("/model/stream", {"n": n}, Stream)

    async def model(self) -> Model:
        """The serving model with its measurements."""
        return await self._get("/model", {}, Model)

    async def models(self) -> Versions:
        """All versions; `InvalidInput` where the predictor keeps none."""
        return await self._get("/models", {}, Versions)

    async def race(self) -> Race:
        """The race of settings that is going on, or the last one."""
        return await self._get("/models/race", {}, Race)

    async def promote(self, model: int, *, force: bool, key: str) -> Version:
        """Put a version in service."""
        return await self._change(f"/models/{model}/promote", key, {"force": force})

    async def rollback(self, *, key: str) -> Version:
        """Put the version that served before in service again."""
        return await self._change("/models/rollback", key)

    async def retire(self, model: int, *, key: str) -> Version:
        """Take a version out of use."""
        return await self._change(f"/models/{model}/retire", key)

    async def _change(self, path: str, key: str, body: dict[str, Any] | None = None) -> Version:
        """Change something of the predictor, with an API key; sent once, whatever happens."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return await self._ask(
            "predictor",
            lambda: self._predictor.post(path, json=body, headers=headers),
            Version,
            attempts=1,
        )

    async def _get(
        self,
        path: str,
        query: dict[str, Any],
        kind: type[SomeAnswer],
        timeout: httpx.Timeout = TIMEOUT,
    ) -> SomeAnswer:
        return await self._ask(
            "predictor",
            lambda: self._predictor.get(path, params=query, timeout=timeout),
            kind,
        )

    async def _ask(
        self,
        service: str,
        send: Callable[[], Awaitable[httpx.Response]],
        kind: type[SomeAnswer],
        attempts: int = ATTEMPTS,
    ) -> SomeAnswer:
        async def once() -> httpx.Response:
            try:
                response = await send()
            except httpx.TransportError as error:
                raise Unavailable(service, "no answer") from error
            if response.status_code in NOT_NOW:
                raise Unavailable(service, _detail(response))
            return response

        again = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            stop=stop_after_attempt(attempts) | stop_after_delay(GIVE_UP_AFTER),
            wait=wait_random_exponential(multiplier=0.05, max=0.4),
            reraise=True,
        )
        response: httpx.Response = await again(once)
        if 400 <= response.status_code < 500:
            raise _refusal(response)
        if not response.is_success:
            raise Unavailable(service, _detail(response))
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            raise Unavailable(service, "answered in a shape that this page cannot read") from error


def _only(answer: Accepted) -> Record:
    """The one place in the log."""
    if len(answer.records) != 1:
        raise Unavailable("ingest", f"answered {len(answer.records)} records for one rating")
    return answer.records[0]


def _problem(response: httpx.Response) -> dict[str, Any]:
    """The body of an `application/problem+json`, or nothing."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _detail(response: httpx.Response) -> str:
    detail = _problem(response).get("detail")
    return detail if isinstance(detail, str) else f"answered {response.status_code}"


def _refusal(response: httpx.Response) -> InvalidInput:
    """The first wrong field that the service named."""
    errors = _problem(response).get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    if isinstance(first, dict) and "field" in first:
        return InvalidInput(str(first["field"]), first.get("value"), str(first.get("allowed", "")))
    return InvalidInput("request", str(response.request.url.path), _detail(response))
