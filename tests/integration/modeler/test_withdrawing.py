"""Withdrawing in the truth, against the same worked out in memory; over a real Postgres."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection, cursor

from storage.staging import Address
from storage.withdrawals import Withdrawn, items_now, note, users_now, users_since, withdraw

MODELS, BATCH = (1, 2), 7
FENCE = 5
TASKS = (11, 12)

History = list[tuple[int, str, str, float]]  # partition, user, item, rating
Asked = list[tuple[int, int, str, str | None]]  # partition, offset, user, item


@pytest.fixture
def opened(dsn: str):
    opened = psycopg2.connect(dsn)
    with opened, opened.cursor() as cur:
        for model in MODELS:
            for side in ("user", "item"):
                cur.execute(
                    f"CREATE TABLE {side}_rows_{model} PARTITION OF {side}_rows "
                    f"FOR VALUES IN ({model})"
                )
    yield opened
    opened.close()


def fill(opened: connection, history: History, asked: Asked) -> None:
    """A history with its counts, and staged withdrawals by two tasks and by a failed attempt."""
    users, items = (Counter(row[place] for row in history) for place in (1, 2))
    with opened, opened.cursor() as cur:
        cur.execute("TRUNCATE history, withdrawals, user_rows, item_rows, staged_withdrawals_2")
        lists: dict[tuple[str, int, int], list[tuple[str, float, int]]] = {}
        for offset, (partition, user, item, rating) in enumerate(history):
            lists.setdefault((user, partition, offset // 6), []).append((item, rating, offset))
        for (user, partition, _), rated in lists.items():
            given, ratings, offsets = map(list, zip(*rated, strict=True))
            cur.execute(
                "INSERT INTO history VALUES (%s, %s, %s, %s, %s, %s)",
                (user, given, ratings, [0.0] * len(rated), partition, offsets),
            )
        for model in MODELS:
            for side, counts in (("user", users), ("item", items)):
                for one, n in counts.items():
                    cur.execute(
                        f"INSERT INTO {side}_rows VALUES (%s, %s, %s, %s, 'row')",
                        (model, one, n, BATCH - 1),
                    )
        for number, (partition, offset, user, item) in enumerate(asked):
            cur.execute(
                "INSERT INTO staged_withdrawals_2 VALUES (%s, %s, %s, %s, %s, %s, 9.5)",
                (FENCE, TASKS[number % 2], partition, offset, user, item),
            )
        for fence, task in ((FENCE, 13), (FENCE - 1, TASKS[0])):
            for user in {row[1] for row in history}:
                cur.execute(
                    "INSERT INTO staged_withdrawals_2 VALUES (%s, %s, 0, 999, %s, NULL, 9.5)",
                    (fence, task, user),
                )


def take_back(cur: cursor, models: Sequence[int]) -> Withdrawn:
    where = Address(2, FENCE, TASKS)
    note(cur, where)
    return withdraw(cur, where, models, BATCH)


def read(opened: connection, query: str) -> list[tuple]:
    with opened, opened.cursor() as cur:
        cur.execute(query)
        return cur.fetchall()


users = st.sampled_from("uvw")
items = st.sampled_from("ijk")
partitions = st.integers(0, 1)
histories = st.lists(
    st.tuples(partitions, users, items, st.sampled_from([0.5, 3.0, 5.0])), max_size=20
)
withdrawals = st.lists(
    st.tuples(partitions, st.integers(0, 25), st.sampled_from("uvwx"), st.none() | items),
    max_size=6,
    unique_by=lambda row: row[:2],
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories, withdrawals)
def test_history_and_counts_are_those_of_what_is_left(
    opened: connection, history: History, asked: Asked
) -> None:
    fill(opened, history, asked)
    with opened, opened.cursor() as cur:
        found = take_back(cur, MODELS)

    gone = [
        any(
            row[:2] == (other[0], other[2]) and offset < other[1] and other[3] in (row[2], None)
            for other in asked
        )
        for offset, row in enumerate(history)
    ]
    left = [row for row, is_gone in zip(history, gone, strict=True) if not is_gone]
    lost = [row for row, is_gone in zip(history, gone, strict=True) if is_gone]
    assert (found.ratings, found.total) == (len(lost), sum(row[3] for row in lost))
    assert set(found.users) == {row[2] for row in asked}
    assert set(found.items) == {row[2] for row in lost}
    stored = read(opened, 'SELECT partition, "user", item, rating FROM ratings ORDER BY "offset"')
    assert stored == left
    changed = {row[1] for row in lost}
    for model in MODELS:
        rows = read(opened, f"SELECT id, n, batch FROM user_rows WHERE model = {model}")
        assert {user: (n, at) for user, n, at in rows} == {
            user: (n, BATCH if user in changed else BATCH - 1)
            for user, n in Counter(row[1] for row in left).items()
        }
        rows = read(opened, f"SELECT id, n, batch FROM item_rows WHERE model = {model}")
        before, after = (Counter(row[2] for row in some) for some in (history, left))
        assert {item: (n, at) for item, n, at in rows} == {
            item: (after[item], BATCH if item in found.items else BATCH - 1) for item in before
        }
    noted = read(opened, 'SELECT partition, "offset", "user", item, withdrawn_at FROM withdrawals')
    assert sorted(noted, key=str) == sorted([(*row, 9.5) for row in asked], key=str)


def test_rows_learned_anew_in_the_same_micro_batch_stay(opened: connection) -> None:
    fill(opened, [(0, "u", "i", 5.0), (0, "v", "i", 4.0)], [(0, 2, "u", None), (0, 3, "v", "i")])
    with opened, opened.cursor() as cur:
        # As merged: u began anew with one rating, v had one and has rated another item.
        cur.execute("UPDATE user_rows SET n = 1, batch = 7 WHERE model = 1 AND id = 'u'")
        cur.execute("UPDATE user_rows SET n = 2, batch = 7 WHERE model = 1 AND id = 'v'")
        take_back(cur, [1])
    rows = read(opened, "SELECT id, n FROM user_rows WHERE model = 1 ORDER BY id")
    assert rows == [("u", 1), ("v", 1)]


def test_what_is_left_of_users_and_items(opened: connection) -> None:
    history = [(0, "u", "i", 5.0), (0, "v", "i", 4.0), (0, "v", "j", 2.0), (0, "v", "i", 1.0)]
    fill(opened, history, [(0, 4, "u", None), (1, 2, "v", "i")])
    with opened, opened.cursor() as cur:
        take_back(cur, MODELS)
        ((u, v, x),) = users_now(cur, 2, ["u", "v", "x"])
        assert (u.n, u.items) == (0, [])
        assert (v.n, v.state, v.items, v.ratings) == (3, b"row", ["i", "j", "i"], [4.0, 2.0, 1.0])
        assert (x.n, x.items) == (0, [])
        assert sorted(items_now(cur, 2, ["i", "j", "k"])) == [("i", 2, b"row"), ("j", 1, b"row")]
        assert users_since(cur, {}) == {"u": True, "v": False}
        assert users_since(cur, {0: 5}) == {"v": False}
        assert users_since(cur, {0: 4, 1: 3}) == {"u": True}


def test_it_reads_only_the_ratings_of_those_who_withdraw(opened: connection) -> None:
    """Its cost must not depend on the length of the history."""
    with opened, opened.cursor() as cur:
        cur.execute(
            """INSERT INTO history
               SELECT 'u' || g % 5000, ARRAY['i' || g % 97], '{3}', '{0}', 0, ARRAY[g]
               FROM generate_series(0, 199999) g"""
        )
        cur.execute("INSERT INTO staged_withdrawals_2 VALUES (5, 11, 0, 999998, 'u1', NULL, 9.5)")
        cur.execute("INSERT INTO staged_withdrawals_2 VALUES (5, 11, 0, 999999, 'u2', 'i2', 9.5)")
    opened.autocommit = True
    with opened.cursor() as cur:
        cur.execute("ANALYZE history")
    opened.autocommit = False
    with opened, opened.cursor() as cur:
        scans = "SELECT pg_stat_get_xact_numscans('history'::regclass)"
        found = take_back(cur, [1])
        cur.execute(scans)
        assert cur.fetchall() == [(0,)]  # of the whole table
    assert found.ratings == 41
