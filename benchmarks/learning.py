"""A modeler that learns a steady stream of ratings while something else is measured."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import psycopg2

from benchmarks.draining import MODEL, start_modeler
from local.processes import Child, Children
from local.stack import Stack
from recommender.errors import RecommenderError
from recommender.ratings import encode_columns
from storage.log import Record, load

LEARNED_PER_SECOND = 1000

_A_SECOND = 50  # times that ratings are written
_WARM_UP = 30.0  # seconds in which Java compiles what it runs often
_TIMEOUT = 180.0  # seconds until the first rating is learned: all users and ratings go to Redis
_WRITTEN_WITHIN = 30.0
_LEAST = 0.9  # of the rate: below it the modeler has fallen behind, and another thing was measured

Draw = Callable[[int], tuple[Sequence[str], Sequence[str], Sequence[float]]]


class Learning:
    """The modeler, and what it has learned.

    Parameters
    ----------
    modeler : Child
    dsn : str
        Of its Postgres.
    before : int
        Ratings that the model had learned at the beginning.
    """

    def __init__(self, modeler: Child, dsn: str, before: int) -> None:
        self._modeler = modeler
        self._dsn = dsn
        self._before = before

    def await_steady(self) -> None:
        """Wait until it learns, and for some time more.

        Raises
        ------
        RecommenderError
            If it does not begin to.
        """
        until = time.monotonic() + _TIMEOUT
        while learned(self._dsn) == self._before:
            if time.monotonic() > until or self._modeler.status is not None:
                raise RecommenderError(f"nothing is learned:\n{self._modeler.log_end()}")
            time.sleep(0.5)
        time.sleep(_WARM_UP)

    @contextmanager
    def told(self, figures: dict[str, float]) -> Iterator[None]:
        """Say afterwards how many ratings were learned a second.

        Raises
        ------
        RecommenderError
            If they were far fewer than were written: the figures would be of something else.
        """
        begin, before = time.monotonic(), learned(self._dsn)
        yield
        rate = (learned(self._dsn) - before) / (time.monotonic() - begin)
        if rate < _LEAST * LEARNED_PER_SECOND:
            raise RecommenderError(
                f"only {rate:.0f} ratings were learned a second, {LEARNED_PER_SECOND} were written"
            )
        figures["learned_per_second"] = rate


@contextmanager
def learning_beside(stack: Stack, children: Children, draw: Draw) -> Iterator[Learning]:
    """Start a modeler, and write ratings into the log at a steady rate.

    Parameters
    ----------
    stack : Stack
        With its stores prepared.
    children : Children
    draw : callable
        Gives users, items and values of so many ratings.
    """
    ended = threading.Event()
    failed: list[BaseException] = []

    def write() -> None:
        settings = stack.kafka_settings
        try:
            load(settings, settings.ratings_topic, _paced(draw, ended))
        except RecommenderError as error:
            failed.append(error)

    before = learned(stack.postgres.dsn())
    modeler = start_modeler(stack, children)
    writer = threading.Thread(target=write, name="ratings", daemon=True)
    writer.start()
    try:
        yield Learning(modeler, stack.postgres.dsn(), before)
    finally:
        ended.set()
        writer.join(_WRITTEN_WITHIN)
    if failed:
        raise failed[0]


def _paced(draw: Draw, ended: threading.Event) -> Iterator[Record]:
    some = LEARNED_PER_SECOND // _A_SECOND
    begin = time.monotonic()
    for number in itertools.count(1):
        yield from encode_columns(*draw(some), [time.time()] * some)
        if ended.wait(max(0.0, begin + number / _A_SECOND - time.monotonic())):
            return


def learned(dsn: str) -> int:
    """Ratings that the model has learned; 0 where there is none yet."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(rating_count), 0) FROM models WHERE model = %s", (MODEL,)
        )
        ((count,),) = cursor.fetchall()
    return int(count)
