"""A predictor over stores that hold a model of a given size, without the hours of streaming to it.

The model is one that was learned in memory (`benchmarks.learned_model`), or drawn at random: then
popularity falls as in Zipf's law, factors have a few strong directions and many weak ones, the
vectors of popular items are longer, and people have rated popular items above all. Its vectors have
no order to them, which is hard on a search that passes over what cannot be among the best.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import adbc_driver_postgresql.dbapi as postgres
import httpx
import numpy as np
import numpy.typing as npt
import psycopg2
import pyarrow as pa
import typer

from benchmarks.learning import LEARNED_PER_SECOND, Learning, learning_beside
from benchmarks.load import Yardsticks, start_yardsticks
from benchmarks.running import stores
from local import ports
from local.postgres import Postgres
from local.processes import Child, Children, Program
from local.redis_server import RedisServer
from local.stack import Content, is_well
from recommender.generate import RATING_MAX, RATING_MIN
from recommender.model_settings import ModelSettings
from recommender.rows import Floats, RowFormat, Rows
from storage.as_of import AsOf
from storage.history import listed
from storage.partitions import make_partitions
from storage.projection import Projection
from storage.schema import migrate
from storage.settings import KafkaSettings, RedisSettings

Items = Annotated[int, typer.Option(min=1, help="Items.")]
Users = Annotated[int, typer.Option(min=1, help="Users, asked for in turn.")]
Rank = Annotated[int, typer.Option(min=1, help="Factors of the rating head.")]
RankingRank = Annotated[int, typer.Option(min=0, help="Factors of the ranking head; 0: none.")]
Drawn = Annotated[
    bool, typer.Option("--drawn/--learned", help="A model drawn at random, or a learned one.")
]
WhileLearning = Annotated[
    bool,
    typer.Option(
        "--learning/--no-learning",
        help=f"Whether a modeler learns {LEARNED_PER_SECOND} ratings a second meanwhile.",
    ),
]

Numbers = npt.NDArray[np.int64]

MODEL = 1
CONTENT = Content("generated: benchmark", RATING_MIN, RATING_MAX)
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


Further = Callable[[int], tuple[Numbers, Numbers, Floats]]


@dataclass(frozen=True)
class ServedModel:
    """A model to be served, and what further ratings of it are like.

    Attributes
    ----------
    items, users : Rows
    rated : Rated
        By these users.
    rating_sum : float
    rating_count : int
        Learned in all.
    further : callable
        Draws so many ratings that come next: numbers of users and of items, and ratings.
    """

    items: Rows
    users: Rows
    rated: Rated
    rating_sum: float
    rating_count: int
    further: Further


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
    learning : Learning or None
        The modeler that learns meanwhile, where one does.
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
    learning: Learning | None = None


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


def drawn_model(size: Size) -> ServedModel:
    """A model drawn at random."""
    items, users = draw(size.items, size.form, 1, True), draw(size.users, size.form, 2, False)
    rated = _draw_ratings(items, size.users)
    drawn = np.random.default_rng(8)

    def further(length: int) -> tuple[Numbers, Numbers, Floats]:
        raters = drawn.integers(size.users, size=length)
        return raters, drawn_items(items, length, drawn), _half_stars(drawn, length)

    return ServedModel(items, users, rated, MEAN * len(rated.users), len(rated.users), further)


@dataclass(frozen=True)
class _Stores:
    """What the model is put into, and what the predictor is told of it."""

    children: Children
    dsn: str
    redis: str
    environment: Mapping[str, str]
    url: str


@contextmanager
def _alone() -> Iterator[_Stores]:
    """Postgres and Redis, and nothing else."""
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
            port = ports.free(1)[0]
            environment = {
                "RECOMMENDER_POSTGRES_DSN": dsn,
                "RECOMMENDER_REDIS_URL": redis.url,
                "RECOMMENDER_PREDICTOR_PORT": str(port),
            }
            yield _Stores(children, dsn, redis.url, environment, f"http://{ports.HOST}:{port}")
        finally:
            children.close()


@contextmanager
def serving(
    size: Size,
    workers: int = 1,
    environment: Mapping[str, str] | None = None,
    model: ServedModel | None = None,
) -> Iterator[Serving]:
    """Postgres and Redis with a model, a predictor over them, and what to compare it with.

    Parameters
    ----------
    size : Size
    workers : int
        Processes of the yardstick.
    environment : mapping, optional
        More settings of the predictor.
    model : ServedModel, optional
        As large as `size` says; one drawn at random where left out.
    """
    model = model or drawn_model(size)
    with _alone() as opened:
        as_of = _fill_truth(opened.dsn, size, model)
        projection = Projection(RedisSettings(redis_url=opened.redis), MODEL)
        _fill_projection(projection, model, as_of)
        with _served(opened, workers, environment, projection, as_of, model) as running:
            yield running


@contextmanager
def serving_while_learning(size: Size, model: ServedModel) -> Iterator[Serving]:
    """The same over all stores of the product, with a modeler that goes on learning the model."""
    with stores() as (stack, children):
        dsn = stack.postgres.dsn()
        as_of = _fill_truth(dsn, size, model)
        _fill_history(dsn, model)
        projection = Projection(RedisSettings(redis_url=stack.redis.url), MODEL)
        # As the truth has it, so that the modeler finds the projection whole: it would write it
        # anew for minutes, without the ratings that the log never had, and the predictor ask
        # Postgres meanwhile.
        _fill_projection(projection, model, replace(as_of, offsets={}, at=None))
        with learning_beside(stack, children, lambda n: _named(model, n)) as learning:
            learning.await_steady()
            environment = stack.environment(CONTENT)
            opened = _Stores(children, dsn, stack.redis.url, environment, stack.predictor_url)
            with _served(opened, 1, None, projection, as_of, model, learning) as running:
                yield running


@contextmanager
def served_as_asked(
    size: Size, model: ServedModel, learning: bool
) -> Iterator[tuple[Serving, dict[str, float]]]:
    """`serving`, or `serving_while_learning`; also a dict to be filled with what was learned."""
    told: dict[str, float] = {}
    started = serving_while_learning(size, model) if learning else serving(size, model=model)
    with (
        started as running,
        running.learning.told(told) if running.learning else nullcontext(),
    ):
        yield running, told


@contextmanager
def _served(
    opened: _Stores,
    workers: int,
    environment: Mapping[str, str] | None,
    projection: Projection,
    as_of: AsOf,
    model: ServedModel,
    learning: Learning | None = None,
) -> Iterator[Serving]:
    begin = time.perf_counter()
    predictor = opened.children.start(
        Program(
            name="predictor",
            command=[sys.executable, "-m", "benchmarks.with_no_op", "predictor"],
            environment={
                **opened.environment,
                "RECOMMENDER_STATEMENT_TIMEOUT": "120",
                **(environment or {}),
            },
        )
    )
    predictor.await_ready(lambda: is_well(opened.url), _READY_WITHIN)
    ready = time.perf_counter() - begin
    yield Serving(
        opened.url,
        predictor,
        ready,
        start_yardsticks(opened.children, workers),
        projection,
        as_of,
        model.items,
        model.users,
        model.rated,
        learning,
    )


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


def _fill_truth(dsn: str, size: Size, model: ServedModel) -> AsOf:
    settings = ModelSettings(
        rank=size.rank,
        ranking_rank=size.ranking_rank,
        rating_min=RATING_MIN,
        rating_max=RATING_MAX,
    )
    count, total = model.rating_count, model.rating_sum
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO models"
            " (model, status, settings, data, rating_sum, rating_count, batch, served_at)"
            " VALUES (%s, 'serving', %s, 'generated: benchmark', %s, %s, 1, now())",
            (MODEL, settings.model_dump_json(), total, count),
        )
        make_partitions(cursor, MODEL)
        _copy_rows(cursor, "item", item_id, model.items)
        cursor.execute(
            "INSERT INTO items SELECT 'i' || number, 'Film ' || number || ' (1999)', '{}'"
            " FROM generate_series(0, %s) number",
            (size.items - 1,),
        )
    # None of the ratings is in the log, which begins behind them.
    return AsOf(1, {_TOPIC: {}}, total, count, time.time())


def _fill_history(dsn: str, model: ServedModel) -> None:
    """What the modeler needs and the predictor does not: users' rows, and all ratings."""
    rated = model.rated
    length = len(rated.users)
    ids = [
        pa.array(map(name, range(count)), pa.string()).take(pa.array(numbers))
        for name, count, numbers in (
            (user_id, len(model.users), rated.users),
            (item_id, len(model.items), rated.items),
        )
    ]
    # In front of the log's first record, whose offset is 0.
    offsets = pa.array(np.arange(-length, 0))
    table = pa.table(
        [*ids, rated.ratings, np.zeros(length), np.zeros(length, np.int32), offsets],
        names=["user", "item", "rating", "rated_at", "partition", "offset"],
    )
    with postgres.connect(dsn, autocommit=True) as opened, opened.cursor() as one:
        one.adbc_ingest("history", pa.table(listed(table)), mode="append")
    with closing(psycopg2.connect(dsn)) as connection:
        with connection, connection.cursor() as cursor:
            _copy_rows(cursor, "user", user_id, model.users)
        connection.autocommit = True
        connection.cursor().execute("VACUUM ANALYZE")


def _named(model: ServedModel, length: int) -> tuple[list[str], list[str], list[float]]:
    """Further ratings, with ids."""
    users, items, ratings = model.further(length)
    return (
        [user_id(number) for number in users.tolist()],
        [item_id(number) for number in items.tolist()],
        ratings.tolist(),
    )


def _copy_rows(cursor: Any, side: str, name: Callable[[int], str], rows: Rows) -> None:
    for start in range(0, len(rows), _COPIED):
        lines = io.StringIO()
        some = np.arange(start, min(start + _COPIED, len(rows)))
        for number, row in enumerate(rows.take(some).pack(), start):
            # Postgres has the count in a column of its own, in front of the state.
            state = row.tobytes()[4:].hex()
            lines.write(f"{MODEL}\t{name(number)}\t{row['n']}\t1\t\\\\x{state}\n")
        lines.seek(0)
        cursor.copy_expert(f"COPY {side}_rows FROM STDIN", lines)


def _draw_ratings(items: Rows, users: int) -> Rated:
    drawn = np.random.default_rng(3)
    raters = np.repeat(np.arange(users), _RATED)
    rated = drawn_items(items, len(raters), drawn)
    return Rated(raters, rated, _half_stars(drawn, len(raters)))


def _half_stars(drawn: np.random.Generator, length: int) -> Floats:
    stars: Floats = (drawn.integers(1, 11, length) / 2).astype(np.float32)
    return stars


def _fill_projection(projection: Projection, model: ServedModel, as_of: AsOf) -> None:
    for side, name, rows in (("item", item_id, model.items), ("user", user_id, model.users)):
        for start in range(0, len(rows), _COPIED):
            part = range(start, min(start + _COPIED, len(rows)))
            packed = rows.take(np.array(part)).pack()
            projection.put_rows(side, [name(n) for n in part], [row.tobytes() for row in packed])
    rated = model.rated
    projection.put_ratings(
        pa.array([user_id(number) for number in rated.users.tolist()]),
        pa.array([item_id(number) for number in rated.items.tolist()]),
        rated.ratings,
    )
    projection.announce(as_of, [], [], [])
