"""A predictor over real stores, and a writer that fills them in the format of the contract.

The writer is not the modeler's: it writes by SQL and Redis commands what docs/architecture.md says,
so that both sides are held to the page.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
import redis
import tenacity
from fastapi.testclient import TestClient

from local.postgres import Postgres
from local.processes import Children
from local.redis_server import RedisServer
from predictor.app import build
from predictor.head_start import HeadStart
from predictor.settings import PredictorSettings
from storage.schema import migrate
from tests.fakes.hand_model import ITEMS, USERS

SETTINGS = {"rank": 2, "ranking_rank": 0, "rating_min": 0.5, "rating_max": 5.0, "seed": 42}
RATINGS = [("alice", "a", 5.0), ("alice", "b", 1.0), ("bob", "c", 3.5), ("bob", "a", 5.0)]


def packed(bias: float, factors: tuple[float, ...], step: float = 0.0) -> bytes:
    """A row's state: bias, factors, no ranking factors, step; little-endian float32."""
    return struct.pack(f"<{2 + len(factors)}f", bias, *factors, step)


class Writer:
    """Writes micro-batches to Postgres and, unless told otherwise, to Redis."""

    def __init__(self, dsn: str, url: str, model: int = 1) -> None:
        self.dsn, self.url, self.model = dsn, url, model
        self.batch = 0
        self.learned = 0
        self.withdrawals = 0
        self.rating_sum = 0.0

    @property
    def next_offset(self) -> int:
        return self.learned + self.withdrawals

    def sql(self, query: str, parameters: Any = ()) -> None:
        connection = psycopg2.connect(self.dsn)
        with connection, connection.cursor() as cursor:
            cursor.execute(query, parameters)
        connection.close()

    def create_model(self, **changed: Any) -> None:
        self.sql("UPDATE models SET status = 'retired' WHERE status = 'serving'")
        self.sql(
            "INSERT INTO models (model, status, settings, data) VALUES (%s, 'serving', %s, %s)",
            (self.model, json.dumps({**SETTINGS, **changed}), "by hand"),
        )
        for side in ("user", "item"):
            self.sql(
                f"CREATE TABLE {side}_rows_{self.model} PARTITION OF {side}_rows "
                f"FOR VALUES IN ({self.model})"
            )

    def catalogue(self, *entries: tuple[str, str | None, dict[str, Any]]) -> None:
        for item, title, attributes in entries:
            self.sql(
                "INSERT INTO items (item, title, attributes) VALUES (%s, %s, %s)"
                " ON CONFLICT (item) DO UPDATE SET title = excluded.title",
                (item, title, json.dumps(attributes)),
            )

    def commit(
        self,
        items: dict[str, tuple[int, float, tuple[float, ...]]],
        users: dict[str, tuple[int, float, tuple[float, ...]]],
        ratings: list[tuple[str, str, float]],
        project: bool = True,
        reset: bool = False,
        catalogue: list[str] | None = None,
        squared_error: float = 1.0,
        told_apart: bool = True,
    ) -> None:
        """Commit one micro-batch of one partition; users without a rating in it were replayed."""
        self.batch += 1
        first, self.learned = self.next_offset, self.learned + len(ratings)
        self.rating_sum += sum(rating for _, _, rating in ratings)
        connection = psycopg2.connect(self.dsn)
        with connection, connection.cursor() as cursor:
            for table, rows in (("user_rows", users), ("item_rows", items)):
                for name, (n, bias, factors) in rows.items():
                    cursor.execute(
                        f"INSERT INTO {table} (model, id, n, batch, state)"
                        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (model, id) DO UPDATE"
                        " SET n = excluded.n, batch = excluded.batch, state = excluded.state",
                        (self.model, name, n, self.batch, packed(bias, factors)),
                    )
            for place, (user, item, rating) in enumerate(ratings):
                cursor.execute(
                    "INSERT INTO history"
                    " VALUES (%s, ARRAY[%s], ARRAY[%s], ARRAY[%s], 0, ARRAY[%s])",
                    (user, item, rating, 1e9 + place, first + place),
                )
            cursor.execute(
                "UPDATE models SET rating_sum = %s, rating_count = %s, batch = %s WHERE model = %s",
                (self.rating_sum, self.learned, self.batch, self.model),
            )
            cursor.execute(
                "INSERT INTO offsets VALUES (%s, 'ratings', 0, %s) ON CONFLICT"
                " (model, topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
                (self.model, self.next_offset),
            )
            cursor.execute(
                "INSERT INTO micro_batches (model, batch, ratings, duplicates, dead_letters,"
                " squared_error, absolute_error, warm_ratings, warm_squared_error,"
                " total_ratings, offsets) VALUES (%s, %s, %s, 0, 0, %s, %s, 0, 0, %s, %s)"
                " RETURNING extract(epoch FROM at)",
                (
                    self.model,
                    self.batch,
                    len(ratings),
                    squared_error,
                    len(ratings) / 2,
                    self.learned,
                    json.dumps({"ratings": {"0": self.next_offset}}),
                ),
            )
            (at,) = cursor.fetchone()
        connection.close()
        if project:
            self.project(items, users, ratings, float(at), reset, catalogue, (), told_apart)

    def forget(self, user: str, project: bool = True) -> None:
        """A micro-batch of one withdrawal, of everything, by a user whose ratings stay in μ."""
        self.sql("INSERT INTO withdrawals VALUES (0, %s, %s, NULL, 1e9)", (self.next_offset, user))
        self.withdrawals += 1
        self.sql('DELETE FROM history WHERE "user" = %s', (user,))
        self.sql("DELETE FROM user_rows WHERE id = %s", (user,))
        self.commit({}, {}, [], project=False)
        if project:
            start = f"recommender:{self.model}:"
            with redis.Redis.from_url(self.url) as client:
                client.delete(f"{start}user:{user}", f"{start}rated:{user}")
            self.project({}, {}, [], 1.7e9, withdrawn=[user])

    def project(
        self,
        items,
        users,
        ratings,
        at,
        reset=False,
        catalogue=None,
        withdrawn=(),
        told_apart=True,
    ) -> None:
        """Write a micro-batch to Redis, its entry last.

        Unless `told_apart` as an earlier release did: without a word on who has rated.
        """
        start = f"recommender:{self.model}:"
        state = {
            "batch": self.batch,
            "offsets": json.dumps({"ratings": {"0": self.next_offset}}),
            "rating_sum": self.rating_sum,
            "rating_count": self.learned,
            "at": at,
        }
        with redis.Redis.from_url(self.url) as client:
            pipeline = client.pipeline(transaction=True)
            for side, rows in (("user", users), ("item", items)):
                for name, (n, bias, factors) in rows.items():
                    pipeline.set(
                        f"{start}{side}:{name}", struct.pack("<i", n) + packed(bias, factors)
                    )
            for user, item, rating in ratings:
                record = struct.pack("<fH", rating, len(item.encode())) + item.encode()
                pipeline.append(f"{start}rated:{user}", record)
            pipeline.hset(f"{start}state", mapping=state)
            pipeline.set("recommender:serving", self.model)
            entry = {
                **state,
                "items": json.dumps(list(items)),
                "users": json.dumps(list(users)),
                "catalogue": json.dumps(catalogue or []),
                "withdrawn": json.dumps(list(withdrawn)),
            }
            if told_apart:
                entry["rated"] = json.dumps(sorted({user for user, _, _ in ratings}))
            pipeline.xadd(f"{start}changes", {**entry, "reset": "1"} if reset else entry)
            pipeline.execute()

    def hand_model(self) -> None:
        """The model of tests/fakes/hand_model.py as one micro-batch; its μ = (14.5 + 2.75) / 5."""
        self.create_model()
        self.catalogue(
            ("a", "Alien (1979)", {"genres": ["Horror"], "year": 1979}), ("d", "Dune (1984)", {})
        )
        self.commit(
            {name: row[:3] for name, row in ITEMS.items()},
            {name: row[:3] for name, row in USERS.items()},
            RATINGS,
        )


@pytest.fixture
def writer(dsn: str, redis_url: str) -> Writer:
    return Writer(dsn, redis_url)


@pytest.fixture
def start() -> Callable[..., Any]:
    """Starts a predictor: ``with start(writer, setting=value) as client``."""

    @contextmanager
    def started(
        writer: Writer, head_start: HeadStart | None = None, **changed: Any
    ) -> Iterator[TestClient]:
        settings = PredictorSettings(
            postgres_dsn=writer.dsn,
            redis_url=writer.url,
            **{"idle_seconds": 0.5, "refresh_seconds": 0.2, "redis_timeout": 0.5, **changed},
        )
        with TestClient(build(settings, head_start=head_start)) as client:
            yield client

    return started


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Asks until something holds, at most 10 s; for what no answer can be awaited."""

    def wait(holds: Callable[[], Any], what: str) -> Any:
        try:
            return tenacity.Retrying(
                stop=tenacity.stop_after_delay(10),
                wait=tenacity.wait_fixed(0.02),
                retry=tenacity.retry_if_result(lambda found: not found),
            )(holds)
        except tenacity.RetryError:
            pytest.fail(f"waited 10 s in vain: {what}")

    return wait


@pytest.fixture
def client(writer: Writer, start, eventually) -> Iterator[TestClient]:
    """A predictor that has loaded the model worked out by hand."""
    writer.hand_model()
    with start(writer) as client:
        eventually(lambda: client.get("/health/ready").status_code == 200, "ready")
        yield client


class OwnStores:
    """A Postgres and a Redis for one test alone, which it may stop and start."""

    def __init__(self, children: Children) -> None:
        self.postgres = Postgres(children, durable=False)
        self.redis = RedisServer(children)
        for store in (self.postgres, self.redis):
            store.launch()
        for store in (self.postgres, self.redis):
            store.await_ready()
        self.dsn = self.postgres.create_database("own")
        migrate(self.dsn)


@pytest.fixture
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnStores]:
    children = Children(tmp_path_factory.mktemp("own"))
    yield OwnStores(children)
    children.close()
