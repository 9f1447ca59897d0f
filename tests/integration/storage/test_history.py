"""The history of ratings: rows as they are staged, what is drawn from them, how they came to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby

import numpy as np
import psycopg2
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yoyo import get_backend, read_migrations

from local.postgres import Postgres
from modeler.records import RATINGS
from storage import history
from storage.schema import MIGRATIONS
from storage.staging import TaskStore

# How many ratings follow each other of one user and partition: at one row's length, and past it.
runs = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([0, 1]), st.sampled_from([1, 2, 31, 32, 65]))
)


def side_by_side(drawn: list[tuple[str, int, int]], event: str | None) -> pa.Table:
    rows = [(user, partition) for user, partition, length in drawn for _ in range(length)]
    places = range(len(rows))
    return pa.table(
        {
            "partition": [partition for _, partition in rows],
            "offset": list(places),
            "user": [user for user, _ in rows],
            "item": [f"i{place}" for place in places],
            "rating": [0.5 + place % 10 / 2 for place in places],
            "rated_at": [float(place) for place in places],
            "event_id": [event] * len(rows),
        },
        RATINGS,
    )


@given(runs, st.sampled_from(["e", None]))
def test_rows_hold_each_rating_once(drawn: list[tuple[str, int, int]], event: str | None) -> None:
    ratings = side_by_side(drawn, event)
    rows = pa.table(history.listed(ratings)).to_pylist()
    expected = []
    for (user, partition), same in groupby(
        ratings.to_pylist(), key=lambda one: (one["user"], one["partition"])
    ):
        given_by = list(same)
        for start in range(0, len(given_by), 32):
            expected.append((user, partition, given_by[start : start + 32]))
    assert [(row["user"], row["partition"]) for row in rows] == [one[:2] for one in expected]
    for row, (_, _, of_row) in zip(rows, expected, strict=True):
        for name in ("item", "rating", "rated_at", "offset"):
            assert row[name] == [one[name] for one in of_row]
        assert row["event_id"] == ([event] * len(of_row) if event else None)


@pytest.fixture
def store(dsn: str) -> Iterator[TaskStore]:
    with closing(TaskStore(dsn)) as opened:
        yield opened


def test_ratings_of_long_and_of_short_rows_are_drawn_alike(dsn: str, store: TaskStore) -> None:
    """20,000 ratings in rows of one, and as many in rows of 20; also when rows have gone."""
    with closing(psycopg2.connect(dsn)) as opened, opened, opened.cursor() as cur:
        cur.execute(
            """INSERT INTO history
               SELECT 'u' || g, ARRAY['alone'], '{3}', '{0}', 0, ARRAY[g]
               FROM generate_series(1, 20000) g"""
        )
        cur.execute(
            """INSERT INTO history
               SELECT 'v' || g, array_fill('together'::text, '{20}'), array_fill(3, '{20}'),
                      array_fill(0, '{20}'), 0, array_fill(g, '{20}')
               FROM generate_series(1, 1500) g"""
        )
        cur.execute("""DELETE FROM history WHERE "user" LIKE 'v%' AND "offset"[1] > 1000""")
        cur.execute(
            """INSERT INTO models (model, status, settings, rating_count)
               VALUES (1, 'serving', '{}', 40000)"""
        )
    random = np.random.default_rng(5)
    drawn = [store.sample_history(500, random) for _ in range(20)]
    assert all(470 <= len(one) <= 500 for one in drawn)
    kinds = Counter(kind for one in drawn for kind in one["item"].to_pylist())
    # Some 350 rows of twenty are drawn, the deviation of whose number is below 19.
    assert 0.4 < kinds["together"] / kinds.total() < 0.6
    assert len({user for one in drawn for user in one["user"].to_pylist()}) > 4000


def test_a_short_history_is_drawn_from(dsn: str, store: TaskStore) -> None:
    assert len(store.sample_history(10, np.random.default_rng(1))) == 0
    with closing(psycopg2.connect(dsn)) as opened, opened, opened.cursor() as cur:
        cur.execute("INSERT INTO history VALUES ('u', '{i,j}', '{1,2}', '{0,0}', 0, '{0,1}')")
        cur.execute(
            """INSERT INTO models (model, status, settings, rating_count)
               VALUES (1, 'serving', '{}', 2)"""
        )
    found = store.sample_history(500, np.random.default_rng(1))
    assert sorted(zip(found["item"].to_pylist(), found["rating"].to_pylist(), strict=True)) == [
        ("i", 1.0),
        ("j", 2.0),
    ]


def test_an_older_history_is_kept_when_it_becomes_lists(postgres: Postgres) -> None:
    name = "older_history"
    dsn = postgres.create_database(name)
    backend = get_backend(dsn)
    migrations = read_migrations(str(MIGRATIONS))
    with backend.lock():
        backend.apply_migrations(
            backend.to_apply(migrations).filter(lambda one: not one.id.startswith("0007"))
        )
    with closing(psycopg2.connect(dsn)) as opened, opened, opened.cursor() as cur:
        # Runs of 40 of a user and a partition, and then one of each in turn.
        cur.execute(
            """INSERT INTO ratings
               SELECT 'u' || g / 40 % 7, 'i' || g, 1 + g % 9, g, g / 40 % 3, g
               FROM generate_series(0, 399) g"""
        )
        cur.execute(
            """INSERT INTO ratings SELECT 'u' || g % 7, 'i' || g, 1 + g % 9, g, g % 3, g
               FROM generate_series(400, 499) g"""
        )
        cur.execute("CREATE TABLE before AS SELECT * FROM ratings")
    with backend.lock():
        backend.apply_migrations(backend.to_apply(migrations))
    backend.connection.close()
    with closing(psycopg2.connect(dsn)) as opened, opened.cursor() as cur:
        cur.execute('SELECT * FROM ratings ORDER BY "offset"')
        after = cur.fetchall()
        cur.execute('SELECT * FROM before ORDER BY "offset"')
        assert after == cur.fetchall()
        cur.execute('SELECT cardinality(item) FROM history ORDER BY "offset"[1]')
        assert [length for (length,) in cur.fetchall()] == [32, 8] * 10 + [1] * 100
    postgres.drop_database(name)
