"""``python -m deploy.sizes``: what a rating, a row and an event id take in Postgres and in Redis.

The figures of docs/scaling.md. Starts stores of its own, fills them with rows of the default format
and ids of typical length, and divides what they take by how many there are.
"""

from __future__ import annotations

import io
import json
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg2
import pyarrow as pa
import redis

from local.postgres import Postgres
from local.processes import Children
from local.redis_server import RedisServer
from recommender.model_settings import ModelSettings
from storage.rated import encode
from storage.schema import migrate
from storage.settings import PostgresSettings
from storage.truth import Truth

RATINGS = 1_000_000
USERS = 50_000
_ID = 8  # characters of a user's or an item's id
_EVENT = 36  # characters of an event id: a UUID


def measure(folder: Path) -> dict[str, float]:
    """Bytes for each kind of thing."""
    children = Children(folder)
    postgres, valkey = Postgres(children, durable=False), RedisServer(children)
    try:
        for store in (postgres, valkey):
            store.launch()
            store.await_ready()
        dsn = postgres.create_database()
        migrate(dsn)
        return {**_in_postgres(dsn), **_in_redis(valkey.url)}
    finally:
        children.close()


def _in_postgres(dsn: str) -> dict[str, float]:
    settings = ModelSettings()
    draw = np.random.default_rng(1)
    users = draw.integers(USERS, size=RATINGS)
    items = draw.integers(USERS, size=RATINGS)
    with closing(Truth(PostgresSettings(postgres_dsn=dsn))) as truth:
        model = truth.serving_or_new_model(settings.model_dump(mode="json"), "sizes")
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def copy(table: str, lines: list[str]) -> None:
            cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO("".join(lines)))

        def size(table: str) -> int:
            cursor.execute("SELECT pg_total_relation_size(%s)", (table,))
            (found,) = cursor.fetchone() or (0,)
            return int(found)

        def rating_size(together: int) -> float:
            """Of users who give so many in one micro-batch."""
            cursor.execute("TRUNCATE history")
            lines = []
            for start in range(0, RATINGS, together):
                offsets = range(start, start + together)
                lists = (
                    [f"{items[offset]:0{_ID}d}" for offset in offsets],
                    ["4.5"] * together,
                    ["1700000000"] * together,
                    [f"{offset}" for offset in offsets],
                )
                cells = "\t".join(f"{{{','.join(one)}}}" for one in lists)
                lines.append(f"{users[start]:0{_ID}d}\t0\t{cells}\n")
            copy('history ("user", partition, item, rating, rated_at, "offset")', lines)
            return size("history") / RATINGS

        copy("events", [f"{number:0{_EVENT}d}\t0\t{number}\n" for number in range(USERS)])
        states = draw.integers(256, size=(USERS, settings.format.state.itemsize), dtype=np.uint8)
        copy(
            "user_rows",
            [
                f"{model}\t{number:0{_ID}d}\t20\t1\t\\\\x{state.tobytes().hex()}\n"
                for number, state in enumerate(states)
            ],
        )
        return {
            "postgres_rating_alone": rating_size(1),
            "postgres_rating_of_ten": rating_size(10),
            "postgres_event_id": size("events") / USERS,
            "postgres_row": size(f"user_rows_{model}") / USERS,
        }


def _in_redis(url: str) -> dict[str, float]:
    row = bytes(ModelSettings().format.row.itemsize)
    with closing(redis.Redis.from_url(url)) as client:

        def used() -> int:
            return int(client.info("memory")["used_memory"])

        empty = used()
        client.mset({f"recommender:1:user:{number:0{_ID}d}": row for number in range(USERS)})
        rows = used()
        items = pa.array([f"{item:0{_ID}d}" for item in range(100)])
        users = pa.array(["u"] * len(items))
        _, (records,) = encode(users, items, np.full(len(items), 4.5, np.float32))
        with client.pipeline(transaction=False) as pipe:
            for number in range(1000):
                pipe.append(f"recommender:1:rated:{number:0{_ID}d}", records)
            pipe.execute()
        return {"redis_row": (rows - empty) / USERS, "redis_rating": (used() - rows) / 100_000}


def main() -> None:
    """Print the figures as one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {name: round(value) for name, value in measure(Path(folder)).items()}
    print(json.dumps(figures))  # noqa: T201


if __name__ == "__main__":
    main()
