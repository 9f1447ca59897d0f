"""A predictor over stores that hold a model of a given size, without the hours of learning it.

The model is drawn at random, but like a learned one where that costs time: popularity falls as in
Zipf's law, factors have a few strong directions and many weak ones, the vectors of popular items
are longer, and people have rated popular items above all.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import httpx
import numpy as np
import numpy.typing as npt
import psycopg2
import pyarrow as pa
import typer

from benchmarks.load import Yardsticks, start_yardsticks
from local import ports
from local.postgres import Postgres
from local.processes import Child, Children, Program
from local.redis_server import RedisServer
from local.stack import is_well
from recommender.generate import RATING_MAX, RATING_MIN
from recommender.initial import SIDES
from recommender.model_settings import ModelSettings
from recommender.rows import Floats, RowFormat, Rows
from storage.as_of import AsOf
from storage.projection import Projection
from storage.schema import migrate
from storage.settings import KafkaSettings, RedisSettings

Items = Annotated[int, typer.Option(min=1, help="Items.")]
Users = Annotated[int, typer.Option(min=1, help="Users, asked for in turn.")]
Rank = Annotated[int, typer.Option(min=1, help="Factors of the rating head.")]
RankingRank = Annotated[int, typer.Option(min=0, help="Factors of the ranking head; 0: none.")]

Numbers = npt.NDArray[np.int64]

MODEL = 1
_TOPIC = KafkaSettings.model_fields["ratings_topic"].default
_READY_WITHIN = 180.0
MEAN = 3.5
_RATED = 100  # ratings of each user
_COPIED = 50_000  # rows sent to Postgres at a time


@dataclass
class Size:
    """How large the model is.

    Attributes
    ----------
    items, users : int
    rank, ranking_rank : int
        Of the two heads; those of the settings as they come.
    """

    items: int = 45_000
    users: int = 5_000
    rank: int = field(default_factory=lambda: ModelSettings().rank)
    ranking_rank: int = field(default_factory=lambda: ModelSettings().ranking_rank)

    @property
    def form(self) -> RowFormat:
        """The rows' layout."""
        return RowFormat(self.rank, self.ranking_rank)


@dataclass(frozen=True)
class Rated:
    """Ratings by the users' and items' numbers, user by user; an item may come twice: the later.

    Attributes
    ----------
    users, items : (n_ratings,) int64
    ratings : (n_ratings,) float32
    """

    users: Numbers
    items: Numbers
    ratings: Floats

    def of(self, user: int) -> tuple[Numbers, Floats]:
        """Distinct items that one user has rated, and the latest rating of each."""
        start, end = np.searchsorted(self.users, [user, user + 1])
        latest = dict(zip(self.items[start:end].tolist(), self.ratings[start:end], strict=True))
        return np.array(list(latest), np.int64), np.array(list(latest.values()), np.float32)


@dataclass(frozen=True)
class Serving:
    """What runs.

    Attributes
    ----------
    url : str
        Of the predictor.
    predictor : Child
    ready_seconds : float
        From its start until it was ready.
    yardsticks : Yardsticks
    projection : Projection
        To change rows by.
    as_of : AsOf
        Of the model as it was filled in.
    items, users : Rows
        The model as it was filled in.
    rated : Rated
        What the users have rated.
    """

    url: str
    predictor: Child
    ready_seconds: float
    yardsticks: Yardsticks
    projection: Projection
    as_of: AsOf
    items: Rows
    users: Rows
    rated: Rated


def drawn_items(items: Rows, length: int, random: np.random.Generator) -> Numbers:
    """Numbers of items, as often as they are popular."""
    chances = np.cumsum(items.n / items.n.sum(dtype=np.float64))
    return np.minimum(np.searchsorted(chances, random.random(length)), len(items) - 1)


def draw(length: int, form: RowFormat, seed: int, popular: bool) -> Rows:
    """Rows of one side."""
    drawn = np.random.default_rng(seed)
    rows = Rows.empty(length, form)
    shares = 1 / np.arange(1, length + 1) ** 0.8
    heard = drawn.permutation(np.maximum(1, shares * 1e5)) if popular else np.full(length, _RATED)
    rows.n[:] = heard.astype(np.int32)
    rows.bias[:] = drawn.normal(0, 0.3, length)
    longer = (np.log1p(heard) / np.log1p(heard).max())[:, None]
    rows.factors[:] = _vectors(drawn, length, form.rank) * longer * 0.4
    rows.ranking[:] = _vectors(drawn, length, form.ranking_rank) * longer * 0.4
    rows.step[:] = 1
    return rows


def _vectors(drawn: np.random.Generator, length: int, rank: int) -> Floats:
    strength = 1 / np.sqrt(np.arange(1, rank + 1))
    vectors: Floats = drawn.standard_normal((length, rank), np.float32) * strength.astype("f4")
    return vectors


@contextmanager
def serving(
    size: Size, workers: int = 1, environment: Mapping[str, str] | None = None
) -> Iterator[Serving]:
    """Postgres and Redis with a model, a predictor over them, and what to compare it with."""
    with TemporaryDirectory(prefix="recommender-benchmark-") as state:
        children = Children(Path(state))
        try:
            postgres, redis = Postgres(children, durable=False), RedisServer(children)
            for store in (postgres, redis):
                store.launch()
            for store in (postgres, redis):
                store.await_ready()
            dsn = postgres.create_database("benchmark")
            migrate(dsn)
            items, users = (
                draw(size.items, size.form, 1, True),
                draw(size.users, size.form, 2, False),
            )
            rated = _draw_ratings(items, size.users)
            as_of = _fill_truth(dsn, size, items)
            projection = Projection(RedisSettings(redis_url=redis.url), MODEL)
            _fill_projection(projection, items, users, rated, as_of)
            port = ports.free(1)[0]
            url = f"http://{ports.HOST}:{port}"
            begin = time.perf_counter()
            predictor = children.start(
                Program(
                    name="predictor",
                    command=[sys.executable, "-m", "predictor"],
                    environment={
                        "RECOMMENDER_POSTGRES_DSN": dsn,
                        "RECOMMENDER_REDIS_URL": redis.url,
                        "RECOMMENDER_PREDICTOR_PORT": str(port),
                        "RECOMMENDER_STATEMENT_TIMEOUT": "120",
                        **(environment or {}),
                    },
                )
            )
            predictor.await_ready(lambda: is_well(url), _READY_WITHIN)
            ready = time.perf_counter() - begin
            yardsticks = start_yardsticks(children, workers)
            yield Serving(url, predictor, ready, yardsticks, projection, as_of, items, users, rated)
        finally:
            children.close()


def item_id(number: int) -> str:
    """Id of an item."""
    return f"i{number}"


def user_id(number: int) -> str:
    """Id of a user."""
    return f"u{number}"


def recommended(url: str, user: str) -> list[str]:
    """The items recommended to a user."""
    answer = httpx.get(f"{url}/recommend", params={"user": user, "n": 10}, timeout=10)
    answer.raise_for_status()
    return [item["item"] for item in answer.json()["items"]]


def _fill_truth(dsn: str, size: Size, items: Rows) -> AsOf:
    ratings = size.users * _RATED
    settings = {
        "rank": size.rank,
        "ranking_rank": size.ranking_rank,
        "rating_min": RATING_MIN,
        "rating_max": RATING_MAX,
    }
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO models (model, status, settings, data, rating_sum, rating_count, batch)"
            " VALUES (%s, 'serving', %s, 'generated: benchmark', %s, %s, 1)",
            (MODEL, json.dumps(settings), MEAN * ratings, ratings),
        )
        cursor.execute("INSERT INTO offsets VALUES (%s, %s, 0, %s)", (MODEL, _TOPIC, ratings))
        for side in SIDES:
            cursor.execute(
                f"CREATE TABLE {side}_rows_{MODEL} PARTITION OF {side}_rows FOR VALUES IN ({MODEL})"
            )
        for start in range(0, len(items), _COPIED):
            _copy_items(cursor, items, start, min(start + _COPIED, len(items)))
        cursor.execute(
            "INSERT INTO items SELECT 'i' || number, 'Film ' || number || ' (1999)', '{}'"
            " FROM generate_series(0, %s) number",
            (size.items - 1,),
        )
    return AsOf(1, {_TOPIC: {0: ratings}}, MEAN * ratings, ratings, time.time())


def _copy_items(cursor: Any, items: Rows, start: int, end: int) -> None:
    lines = io.StringIO()
    for number, row in enumerate(items.take(np.arange(start, end)).pack(), start):
        # Postgres has the count in a column of its own, in front of the state.
        state = row.tobytes()[4:].hex()
        lines.write(f"{MODEL}\t{item_id(number)}\t{row['n']}\t1\t\\\\x{state}\n")
    lines.seek(0)
    cursor.copy_expert("COPY item_rows FROM STDIN", lines)


def _draw_ratings(items: Rows, users: int) -> Rated:
    drawn = np.random.default_rng(3)
    raters = np.repeat(np.arange(users), _RATED)
    rated = drawn_items(items, len(raters), drawn)
    values = (drawn.integers(1, 11, len(raters)) / 2).astype(np.float32)
    return Rated(raters, rated, values)


def _fill_projection(
    projection: Projection, items: Rows, users: Rows, rated: Rated, as_of: AsOf
) -> None:
    for side, name, rows in (("item", item_id, items), ("user", user_id, users)):
        for start in range(0, len(rows), _COPIED):
            part = range(start, min(start + _COPIED, len(rows)))
            packed = rows.take(np.array(part)).pack()
            projection.put_rows(side, [name(n) for n in part], [row.tobytes() for row in packed])
    projection.put_ratings(
        pa.array([user_id(number) for number in rated.users.tolist()]),
        pa.array([item_id(number) for number in rated.items.tolist()]),
        rated.ratings,
    )
    projection.announce(as_of, [], [], [])
