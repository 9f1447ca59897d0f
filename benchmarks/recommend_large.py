"""Recommendations from a million items while some of them change: rate, recall, start, memory."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import httpx
import numpy as np
import psutil
import typer

from benchmarks.load import CONNECTIONS, Connections, Request, Seconds, ask, compared
from benchmarks.report import Json, show
from benchmarks.serving import (
    MEAN,
    Items,
    Numbers,
    Rank,
    Serving,
    Size,
    Users,
    drawn_items,
    item_id,
    recommended,
    serving,
    user_id,
)
from recommender.errors import RecommenderError
from recommender.fold_in import fold_in, gram
from recommender.generate import RATING_MAX, RATING_MIN
from recommender.ranking import blend_with_head, popularity_share
from recommender.ranking_head import weights
from recommender.rows import Floats

_BETWEEN = 1.0  # seconds between two micro-batches that change items
_STEP = 0.1  # how far a changed vector moves, in parts of its length
_PAUSE = 0.2  # seconds between two looks at how far the predictor has come
_PATIENCE = 60.0
_WARM_UP = 2.0  # seconds
_N = 10


def recommend_large(
    items: Items = 1_000_000,
    users: Users = 5_000,
    rank: Rank = 50,
    ranking_rank: Annotated[int, typer.Option(min=1, help="Factors of the ranking head.")] = 50,
    changed: Annotated[
        float, typer.Option(min=0, max=100, help="Percent of the items that change each minute.")
    ] = 1.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes of the predictor.")] = 1,
    judged: Annotated[int, typer.Option(min=1, help="Users whose lists are checked.")] = 200,
    seconds: Seconds = 5,
    connections: Connections = CONNECTIONS,
    as_json: Json = False,
) -> None:
    """`GET /recommend` of ten items out of very many, beside a route that does nothing."""
    size = Size(items, users, rank, ranking_rank)
    asked = [Request(f"/recommend?user={user_id(n * 7919 % users)}&n={_N}") for n in range(users)]
    environment = {
        "RECOMMENDER_PREDICTOR_WORKERS": str(workers),
        # The changes are in Redis alone; after a quiet while the truth, which has none, is asked.
        "RECOMMENDER_IDLE_SECONDS": "30",
    }
    with serving(size, workers, environment) as running:
        memory = {"after_start": _megabytes(running.predictor.pid)}
        # Several workers keep users each for itself, and chance decides who is asked for whom.
        for _ in range(1 if workers == 1 else 3 * workers):
            _ask_for_all(running.url, asked, connections)
        with _changing(running, changed / 100) as changes:
            figures = compared(running.url, asked, running.yardsticks, seconds, connections)
        memory["after_load"] = _megabytes(running.predictor.pid)
        changes.await_taken_over()
        recall = _recall(running, [n * 7919 % users for n in range(min(judged, users))])
    raw = items * (rank + ranking_rank) * 4 / 1e6
    show(
        "recommend-large",
        {
            **figures,
            "items_changed": changes.items,
            "recall_at_10": recall,
            "start_to_ready_seconds": running.ready_seconds,
            "raw_vectors_megabytes": raw,
            "memory_megabytes": memory,
            "memory_over_raw_vectors": max(memory.values()) / raw,
            "workers": workers,
            **vars(size),
        },
        as_json,
    )


def _ask_for_all(url: str, requests: Sequence[Request], connections: int) -> None:
    """Ask until each user is in the predictor's memory, as after some time of service."""
    answers = 0.0
    while answers < len(requests):
        answers += _WARM_UP * ask(url, requests[int(answers) :], _WARM_UP, connections).rate


class _Changes(threading.Thread):
    """Micro-batches that move vectors of items, the popular ones more often, as ratings would.

    Parameters
    ----------
    running : Serving
        Its ``items`` change along.
    share : float
        Of the items, each minute.
    """

    def __init__(self, running: Serving, share: float) -> None:
        super().__init__(name="changes", daemon=True)
        self._running = running
        self._as_of = running.as_of
        self._a_batch = round(len(running.items) * share / 60 * _BETWEEN)
        self._drawn = np.random.default_rng(6)
        self._ended = threading.Event()
        self.items = 0

    def run(self) -> None:
        due = time.monotonic()
        while not self._ended.is_set():
            self._change()
            due += _BETWEEN
            self._ended.wait(max(0.0, due - time.monotonic()))

    def end(self) -> None:
        """Change nothing from now on."""
        self._ended.set()
        self.join(_PATIENCE)

    def _change(self) -> None:
        where = self._draw()
        rows = self._running.items.take(where)
        for vectors in (rows.factors, rows.ranking):
            vectors += (
                _STEP * self._drawn.standard_normal(vectors.shape, np.float32) * _spread(vectors)
            )
        self._running.items.put(where, rows)
        names = [item_id(number) for number in where.tolist()]
        packed = [row.tobytes() for row in rows.pack()]
        projection = self._running.projection
        projection.put_rows("item", names, packed)
        self._as_of = dataclasses.replace(self._as_of, batch=self._as_of.batch + 1, at=time.time())
        projection.announce(self._as_of, [], names, [])
        self.items += len(names)

    def _draw(self) -> Numbers:
        """Distinct items by popularity."""
        found = np.zeros(0, np.int64)
        while len(found) < self._a_batch:
            more = drawn_items(self._running.items, self._a_batch, self._drawn)
            found = np.union1d(found, more)
        return self._drawn.permutation(found)[: self._a_batch]

    def await_taken_over(self) -> None:
        """Wait until the predictor has taken over the last change.

        Raises
        ------
        RecommenderError
            If it does not.
        """
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            reached = httpx.get(f"{self._running.url}/recommend?n=1").json()["as_of"]["batch"]
            if reached == self._as_of.batch:
                return
            time.sleep(_PAUSE)
        raise RecommenderError(
            f"the predictor is at micro-batch {reached}, {self._as_of.batch} was announced"
        )


@contextmanager
def _changing(running: Serving, share: float) -> Iterator[_Changes]:
    changes = _Changes(running, share)
    changes.start()
    try:
        yield changes
    finally:
        changes.end()


def _spread(vectors: Floats) -> Floats:
    """Root mean square of each vector's factors, ``(length, 1)``."""
    return np.asarray(np.sqrt(np.mean(vectors**2, axis=1, keepdims=True)), np.float32)


def _recall(running: Serving, users: Sequence[int]) -> float:
    """Share of the ten best by all scores, worked out here, that are in the predictor's lists."""
    items = running.items
    heard = np.flatnonzero(items.n > 0)
    products = gram(items.ranking[heard])
    found = 0
    for user in users:
        rated, ratings = running.rated.of(user)
        weighed = weights(ratings, RATING_MIN, RATING_MAX)
        vector = fold_in(items.ranking[rated], weighed, products, len(heard))
        predicted = (
            MEAN
            + running.users.bias[user]
            + items.bias
            + items.factors @ running.users.factors[user]
        )
        scores = blend_with_head(
            items.ranking @ vector,
            predicted,
            popularity_share(items.n),
            int(running.users.n[user]),
            RATING_MIN,
            RATING_MAX,
        )
        scores[rated] = -np.inf
        best = {item_id(number) for number in np.argsort(-scores)[:_N].tolist()}
        found += len(best & set(recommended(running.url, user_id(user))))
    return found / (_N * len(users))


def _megabytes(process: int) -> float:
    """Memory of a process and those it has started; what several share counts once (PSS)."""
    parent = psutil.Process(process)
    family = [parent, *parent.children(recursive=True)]
    return sum(float(one.memory_full_info().pss) for one in family) / 1e6
