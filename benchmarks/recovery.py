"""From ``kill -9`` of the modeler under load to learning again."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import closing
from typing import Annotated

import numpy as np
import psycopg2
import typer

from benchmarks.draining import MODEL, drain, start_modeler, write_log
from benchmarks.report import Json, show
from benchmarks.running import stores
from recommender.generate import world

_STEADY = 10.0  # seconds of learning before a kill
_TIMEOUT = 120.0  # seconds for learning to go on


def recovery(
    kills: Annotated[int, typer.Option(min=1, help="How often it is killed.")] = 5,
    rate: Annotated[int, typer.Option(min=1, help="Ratings per second written to the log.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the data.")] = 1,
    as_json: Json = False,
) -> None:
    """Seconds from a kill under load, and an immediate new start, to the next announcement."""
    seconds = []
    with stores() as (stack, children):
        chunks = world(5_000, 5_000, seed).chunks(10_000_000, rate // 10 or 1)
        stop = threading.Event()

        def send() -> None:
            due = time.monotonic()
            for chunk in chunks:
                write_log(stack, [chunk])
                due += 0.1
                if stop.wait(max(0.0, due - time.monotonic())):
                    return

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        try:
            modeler = start_modeler(stack, children)
            drain(stack, modeler, 1, _TIMEOUT)
            for _ in range(kills):
                time.sleep(_STEADY)
                killed = time.monotonic()
                os.kill(modeler.pid, signal.SIGKILL)
                modeler.wait()
                children.forget(modeler)
                learned = _learned(stack.postgres.dsn())
                modeler = start_modeler(stack, children)
                drain(stack, modeler, learned + 1, _TIMEOUT)
                seconds.append(time.monotonic() - killed)
        finally:
            stop.set()
            sender.join(_TIMEOUT)
    figures = {
        "kills": kills,
        "ratings_per_second": rate,
        "median_seconds": float(np.median(seconds)),
        "longest_seconds": max(seconds),
    }
    show("recovery", figures, as_json)


def _learned(dsn: str) -> int:
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rating_count FROM models WHERE model = %s", (MODEL,))
        ((count,),) = cursor.fetchall()
    return int(count)
