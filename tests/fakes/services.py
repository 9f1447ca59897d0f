"""A small ingest and predictor that behave: for tests of what speaks HTTP to them.

No engine: a film's score is its popularity plus what the user's learned ratings say about its
genre. Ratings are learned `learning_seconds` after they reach the log, in order.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import httpx
import uvicorn
from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse

EVIL = "<script>window.hacked=1</script><img src=x onerror='window.hacked=2'> `${1}` (1999)"

FILMS: dict[str, tuple[str, str]] = {
    "1": ("Toy Story (1995)", "animation"),
    "2": ("Heat (1995)", "crime"),
    "3": ("Matrix, The (1999)", "science"),
    "4": ("Finding Nemo (2003)", "animation"),
    "5": ("Godfather, The (1972)", "crime"),
    "6": ("Alien (1979)", "science"),
    "7": ("Monsters, Inc. (2001)", "animation"),
    "8": ("Fargo (1996)", "crime"),
    "9": ("Blade Runner (1982)", "science"),
    "10": ("Up (2009)", "animation"),
    "11": ("Goodfellas (1990)", "crime"),
    "12": ("Arrival (2016)", "science"),
    "13": ("Shrek (2001)", "animation"),
    "14": ("Chinatown (1974)", "crime"),
    "15": ("Solaris (1972)", "science"),
    "16": (EVIL, "animation"),
}


@dataclass
class World:
    """What both services know; tests turn its knobs."""

    films: dict[str, tuple[str, str]] = field(default_factory=lambda: dict(FILMS))
    learning_seconds: float = 0.02
    wait_timeout: float = 2.0
    ingest_away: bool = False
    predictor_away: bool = False
    data: str = "the fake's sixteen films"
    log: list[dict[str, Any]] = field(default_factory=list)
    learned: int = 0  # next offset
    series: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    lag: int | None = 0  # records that wait in the log; None: the modeler does not tell
    refuse_item: str | None = None
    versions: bool = True  # whether the predictor keeps versions of its model
    racing: bool = False  # whether a race of settings is going on
    als: float | None = None  # RMSE of batch ALS, as the first version has measured it
    raced: int = 0  # further ratings of the race
    serving: int = 1
    retired: set[int] = field(default_factory=set)
    admin_key: str = "a-key-of-the-operator"

    def ratings(self, user: str) -> dict[str, float]:
        """What the model has learned of a user, latest first; a repeated event counts once."""
        out: dict[str, float] = {}
        for entry in self.log[: self.learned]:
            if entry["user"] != user:
                continue
            if entry["item"] is None:  # the user is forgotten
                out.clear()
                continue
            out.pop(entry["item"], None)
            if entry["rating"] is not None:  # or it is taken back
                out[entry["item"]] = entry["rating"]
        return dict(reversed(out.items()))

    def score(self, user: str, item: str) -> float:
        """Expected rating: 3 + popularity + the user's mean opinion of the genre."""
        genre = self.films[item][1]
        likes = [r - 3 for i, r in self.ratings(user).items() if self.films[i][1] == genre]
        popularity = 0.6 - 0.03 * list(self.films).index(item)
        return min(5.0, max(0.5, 3 + popularity + (sum(likes) / len(likes) if likes else 0.0)))

    def stream(self, batches: int, ratings: int = 1000) -> None:
        """Let micro-batches be learned, each with a somewhat smaller error."""
        for _ in range(batches):
            n = len(self.series)
            self.series.append(
                {
                    "batch": n + 1,
                    "at": datetime.now(UTC).isoformat(),
                    "ratings": ratings,
                    "total_ratings": ratings + (self.series[-1]["total_ratings"] if n else 0),
                    "rmse": 0.85 + 0.3 / (1 + n / 20) + 0.02 * (-1) ** n,
                    "mae": 0.7,
                }
            )


def _as_of(world: World) -> dict[str, Any]:
    return {
        "batch": world.learned,
        "offsets": {"0": world.learned},
        "at": datetime.now(UTC).isoformat(),
    }


def _away(service: str) -> JSONResponse:
    return JSONResponse(
        {"type": "about:blank", "title": "x", "status": 503, "detail": f"{service} rests"},
        status_code=503,
        headers={"Retry-After": "1"},
        media_type="application/problem+json",
    )


def ingest(world: World) -> FastAPI:
    """The ingest service of this world."""
    app = FastAPI()

    async def learn(upto: int) -> None:
        await asyncio.sleep(world.learning_seconds)
        world.learned = max(world.learned, upto)

    app.state.tasks = set()

    def logged(entry: dict[str, Any]) -> dict[str, Any]:
        world.log.append(entry)
        task = asyncio.create_task(learn(len(world.log)))
        app.state.tasks.add(task)
        task.add_done_callback(app.state.tasks.discard)
        return {"topic": "ratings", "partition": 0, "offset": len(world.log) - 1}

    @app.post("/ratings", status_code=202)
    async def ratings(request: Request) -> Any:
        if world.ingest_away:
            return _away("ingest")
        body = await request.json()
        if body["item"] == world.refuse_item:
            error = {"field": "item", "value": body["item"], "allowed": "another one"}
            content = {"title": "x", "status": 422, "detail": "no", "errors": [error]}
            return JSONResponse(content, status_code=422)
        if any(entry["event_id"] == body["event_id"] for entry in world.log):
            raise AssertionError("the fake's tests send each event once")
        return {"accepted": 1, "records": [logged(body)]}

    @app.delete("/ratings/{user}/{item}", status_code=202)
    async def undo(user: str, item: str, event_id: str) -> Any:
        if world.ingest_away:
            return _away("ingest")
        entry = {"user": user, "item": item, "rating": None, "event_id": event_id}
        return {"accepted": 1, "records": [logged(entry)]}

    @app.delete("/users/{user}", status_code=202)
    async def forget(user: str, event_id: str) -> Any:
        if world.ingest_away:
            return _away("ingest")
        entry = {"user": user, "item": None, "rating": None, "event_id": event_id}
        return {"accepted": 1, "records": [logged(entry)]}

    return app


def predictor(world: World) -> FastAPI:
    """The predictor of this world."""
    app = FastAPI()

    @app.middleware("http")
    async def rest(request: Request, call_next: Any) -> Any:
        world.requests.append(request.url.path)
        return _away("predictor") if world.predictor_away else await call_next(request)

    def listed(pairs: list[tuple[str, float]], source: str = "model") -> dict[str, Any]:
        items = [
            {"item": i, "score": s, "title": world.films.get(i, (None,))[0], "source": source}
            for i, s in pairs
        ]
        return {"model": 1, "as_of": _as_of(world), "source": source, "items": items}

    @app.get("/recommend")
    async def recommend(
        user: str,
        n: int = 10,
        after: str | None = None,
        genre: list[str] = Query([]),
        year_min: int = 0,
        year_max: int = 9999,
        diversity: float = 0,
        novelty: float = 0,
        explain: bool = False,
    ) -> Any:
        deadline = time.monotonic() + world.wait_timeout
        while after and world.learned <= int(after.split(":")[1]):
            if time.monotonic() > deadline:
                return _away("the modeler")
            await asyncio.sleep(0.005)
        rated = world.ratings(user)
        scores = [
            (i, world.score(user, i))
            for i, (title, of) in world.films.items()
            if i not in rated
            and (not genre or of in genre)
            and year_min <= int(title[-5:-1]) <= year_max
        ]
        # Novelty: the catalogue's last first.
        scores.sort(key=lambda pair: -pair[1] * (1 - 2 * (novelty > 0)))
        answer = listed(scores[:n], "model" if rated else "popular")
        if explain:
            for one in answer["items"]:
                of = world.films[one["item"]][1]
                why = [
                    {
                        "item": i,
                        "title": world.films[i][0],
                        "rating": r,
                        "part": "taste",
                        "contribution": r,
                        "share": r / sum(rated.values()),
                    }
                    for i, r in rated.items()
                    if world.films[i][1] == of
                ]
                one["explanation"] = {"parts": {"taste": one["score"]}, "why": why}
        return answer

    @app.get("/predict")
    async def predict(user: str, item: list[str] = Query(), explain: bool = False) -> Any:
        answer = listed([(i, world.score(user, i)) for i in item if i in world.films])
        if explain:
            for one in answer["items"]:
                popularity = 0.6 - 0.03 * list(world.films).index(one["item"])
                one["parts"] = {
                    "mean": 3.0,
                    "user_bias": 0.0,
                    "item_bias": popularity,
                    "taste": one["score"] - 3 - popularity,
                }
        return answer

    @app.get("/items/search")
    async def search(q: str = "", n: int = 10) -> Any:
        found = [i for i, (title, _) in world.films.items() if q.lower() in title.lower()]
        return listed([(i, 100.0) for i in found[:n]])

    @app.get("/items/representative")
    async def representative(n: int = 10) -> Any:
        return listed([(i, 100.0) for i in list(world.films)[:n]], "popular")

    @app.get("/items/map")
    async def plane(user: str = "", n: int = 300) -> Any:
        """A genre in each corner; the visitor at the mean of the films rated."""
        corners = {"animation": (-1.0, 0.0), "crime": (1.0, 0.0), "science": (0.0, 1.0)}
        places = {
            i: (corners[genre][0] + number / 100, corners[genre][1])
            for number, (i, (_, genre)) in enumerate(world.films.items())
        }
        mine = [places[i] for i in world.ratings(user)]
        return {
            "model": 1,
            "as_of": _as_of(world),
            "explained": [0.25, 0.125],
            "user": {
                "x": sum(x for x, _ in mine) / len(mine),
                "y": sum(y for _, y in mine) / len(mine),
            }
            if mine
            else None,
            "items": [
                {
                    "item": i,
                    "title": world.films[i][0],
                    "genres": [world.films[i][1]],
                    "ratings": 10,
                    "x": x,
                    "y": y,
                }
                for i, (x, y) in places.items()
            ],
        }

    @app.get("/items/{item}/ratings")
    async def film_ratings(item: str) -> Any:
        counts = [{"rating": 2.0, "users": 1}, {"rating": 4.0, "users": 3}]
        return {"item": item, "share": 1.0, "counts": counts}

    @app.get("/items/{item}/similar")
    async def similar(item: str, n: int = 10) -> Any:
        genre = world.films[item][1]
        same = [i for i, (_, other) in world.films.items() if other == genre and i != item]
        return listed([(i, 0.9) for i in same[:n]], "similar")

    @app.get("/items/{item}/users")
    async def film_users(item: str, n: int = 10) -> Any:
        users = sorted({str(entry["user"]) for entry in world.log[: world.learned]})
        scored = [{"user": u, "score": world.score(u, item), "ratings": 1} for u in users]
        return {"users": sorted(scored, key=lambda one: -float(one["score"]))[:n]}

    @app.get("/items/{item}")
    async def film(item: str) -> Any:
        if item not in world.films:
            return JSONResponse(
                {"title": "Not Found", "status": 404, "detail": "No item has this id."}, 404
            )
        title, genre = world.films[item]
        return {
            "item": item,
            "title": title,
            "attributes": {"genres": [genre]},
            "ratings": 4,
            "score": 3.6,
        }

    @app.get("/users/active")
    async def active(n: int = 10) -> Any:
        users = dict.fromkeys(str(entry["user"]) for entry in reversed(world.log[: world.learned]))
        return {"users": [{"user": u, "score": 1, "ratings": 1} for u in list(users)[:n]]}

    @app.get("/users/{user}/ratings")
    async def ratings(user: str) -> Any:
        return listed(list(world.ratings(user).items()))

    def version(number: int) -> dict[str, Any]:
        serves, gone = number == world.serving, number in world.retired
        als = {"als_rmse": world.als} if world.als and number == 1 else {}
        return {
            "model": number,
            "status": "serving" if serves else "retired" if gone else "candidate",
            "created_at": "2026-01-31T02:00:00+00:00",
            "settings": {"rank": 32 * number, "decay": 0.5},
            "ratings": 1000 * number,
            "metrics": {"rmse": 0.9 - 0.01 * number, "mae": 0.7, "ndcg@10": 0.25, **als},
            "prequential": {"ratings": 10, "rmse": 0.88, "rmse_serving": 0.89},
            "gate": {"state": "none" if serves else "passed", "reason": "0.88 beside 0.89"},
            "reason": "a refit <b>from</b> the stored ratings",
        }

    @app.get("/models")
    async def models() -> Any:
        if not world.versions:
            return JSONResponse({"title": "Not Found", "status": 404, "detail": "Not Found"}, 404)
        return {"models": [version(number) for number in (2, 1)]}

    @app.get("/models/race")
    async def race() -> Any:
        if not world.racing:
            return {"race": None, "state": "none", "contestants": [], "out": []}
        settings = {"learning_rate": 0.55, "decay": 0.5}
        return {
            "race": 4,
            "state": "running",
            "reason": "",
            "contestants": [
                {
                    "model": 6,
                    "status": "candidate",
                    "settings": {**settings, "learning_rate": 0.3},
                    "ratings": 12_000,
                    "rmse": 0.8412,
                    "curve": [
                        {"ratings": 6_000, "rmse": 0.85},
                        {"ratings": 12_000 + world.raced, "rmse": 0.84},
                    ],
                },
                {
                    "model": 1,
                    "status": "serving",
                    "settings": settings,
                    "ratings": 12_000,
                    "rmse": 0.852,
                },
            ],
            "out": [
                {
                    "model": 5,
                    "reason": "worse by <b>0.2</b> after 9,000 ratings",
                    "curve": [
                        {"ratings": 6_000, "rmse": 1.05},
                        {"ratings": 9_000, "rmse": 1.06},
                    ],
                }
            ],
            "cost": {"copies": 1, "width": 4, "rows": 900, "share": 0.5},
        }

    @app.post("/models/{what:path}")
    async def change(what: str, request: Request) -> Any:
        if request.headers.get("authorization") != f"Bearer {world.admin_key}":
            detail = "This needs an API key."
            return JSONResponse({"title": "Unauthorized", "status": 401, "detail": detail}, 401)
        if what == "rollback":
            world.serving = 1
        elif what.endswith("/promote"):
            world.serving = int(what.split("/")[0])
        else:
            world.retired.add(int(what.split("/")[0]))
        return version(world.serving)

    @app.get("/model/stream")
    async def stream(n: int = 60) -> Any:
        batches = [
            {
                "batch": m["batch"],
                "at": m["at"],
                "ratings": m["ratings"],
                "duplicates": 1,
                "dead_letters": 0,
                "seconds": {"commit": 0.03, "learn": 0.01, "newer": 0.002},
            }
            for m in world.series[-n:]
        ]
        freshness = {"ratings": 9, "p50": 0.2, "p99": 0.45} if batches else {"ratings": 0}
        return {"dead_letters": 7, "freshness": freshness, "batches": batches}

    @app.get("/model")
    async def model() -> Any:
        return {
            "model": 1,
            "as_of": _as_of(world),
            "status": "serving",
            "lag": world.lag,
            "data": world.data,
            "settings": {"rank": 32},
            "counts": {
                "users": 3,
                "items": len(world.films),
                "ratings": world.learned + sum(m["ratings"] for m in world.series),
            },
            "series": world.series,
        }

    return app


def clients(world: World) -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
    """Clients of ingest and predictor without a socket between."""
    return (
        httpx.AsyncClient(
            transport=httpx.ASGITransport(ingest(world)), base_url="http://ingest.test"
        ),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(predictor(world)), base_url="http://predictor.test"
        ),
    )


@contextmanager
def listening(
    app: FastAPI, port: int = 0, lifespan: Literal["auto", "off"] = "auto"
) -> Iterator[str]:
    """Serve an app on a (free) local port; its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan=lifespan)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise TimeoutError("the fake service did not start within 10 s")
        time.sleep(0.01)
    try:
        host, bound = server.servers[0].sockets[0].getsockname()[:2]
        yield f"http://{host}:{bound}"
    finally:
        server.should_exit = True
        thread.join(10)
