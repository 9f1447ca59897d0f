"""What users take back: out of the history and all rows, in the transaction of a commit.

And what whoever keeps a copy of the truth needs to know of it afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from psycopg2.extensions import cursor

from storage.as_of import AsOf

if TYPE_CHECKING:  # readers need not load what tasks write with
    from storage.staging import Address


@dataclass(frozen=True)
class Withdrawn:
    """What some withdrawals took from what had been learned.

    Attributes
    ----------
    ratings : int
    total : float
        Sum of these ratings.
    users : list of str
        Who withdrew, whether or not there was anything to withdraw.
    items : list of str
        Of which ratings were withdrawn.
    """

    ratings: int = 0
    total: float = 0.0
    users: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)

    def without(self, as_of: AsOf) -> AsOf:
        """The state of the models without these ratings."""
        count = as_of.rating_count - self.ratings
        # Where nothing is left, nothing is what floats have left, too.
        total = as_of.rating_sum - self.total if count else 0.0
        return replace(as_of, rating_sum=total, rating_count=count)


def note(cur: cursor, staged: Address) -> None:
    """Keep the staged withdrawals themselves; the cursor then tells how many they are."""
    cur.execute(
        f"""INSERT INTO withdrawals (partition, "offset", "user", item, withdrawn_at)
            SELECT partition, "offset", "user", item, withdrawn_at
            FROM staged_withdrawals_{staged.slot} WHERE {staged.condition}"""
    )


def withdraw(cur: cursor, staged: Address, models: Sequence[int], batch: int) -> Withdrawn:
    """Take the staged withdrawals' ratings out of history and counts.

    Called in a commit, after what was learned in the micro-batch has been merged. A withdrawal
    concerns what is before it in its own partition. Of the micro-batch itself that has not been
    learned in the first place, and the rows of users who withdraw everything were learned anew, if
    at all (`storage.staging.TaskStore.rows`).

    Parameters
    ----------
    cur : cursor
    staged : Address
    models : sequence of int
        Those that have learned the history.
    batch : int
        Number of the micro-batch.
    """
    slot, condition = staged.slot, staged.condition
    cur.execute(
        f"""SELECT "user", bool_or(item IS NULL) FROM staged_withdrawals_{slot}
            WHERE {condition} GROUP BY "user" ORDER BY "user" """
    )
    found = cur.fetchall()
    users = [user for user, _ in found]
    everything = [user for user, all_items in found if all_items]
    # The rows that lose ratings. Users who withdrew everything and have rated since, in the same
    # micro-batch, began anew: their rows count only what came after the withdrawal.
    counted = "".join(
        f""", items_{model:d} AS (
                UPDATE item_rows_{model:d} r SET n = r.n - lost.ratings, batch = {batch:d}
                FROM (SELECT item, count(*) ratings FROM removed GROUP BY item) lost
                WHERE r.model = {model:d} AND r.id = lost.item
            ), users_{model:d} AS (
                UPDATE user_rows_{model:d} r SET n = r.n - lost.ratings, batch = {batch:d}
                FROM (SELECT "user", count(*) ratings FROM removed GROUP BY "user") lost
                WHERE r.model = {model:d} AND r.id = lost."user"
                AND NOT (r.batch = {batch:d} AND r.id = ANY(%(everything)s))
            )"""
        for model in models
    )
    # The users are named, so that Postgres knows how many they are: it has no statistics of staging
    # and would rather read the whole history.
    cur.execute(
        f"""WITH meant AS (
                SELECT h.ctid AS place, "user", partition, r.*, EXISTS (
                    SELECT FROM staged_withdrawals_{slot} w
                    WHERE {condition} AND w."user" = h."user" AND w.partition = h.partition
                      AND w."offset" > r."offset" AND coalesce(w.item, r.item) = r.item
                ) AS withdrawn
                FROM history h, unnest(item, rating, rated_at, "offset")
                                WITH ORDINALITY r(item, rating, rated_at, "offset", number)
                WHERE "user" = ANY(%(users)s)
            ), removed AS (
                SELECT "user", item, rating, place FROM meant WHERE withdrawn
            ), deleted AS (
                DELETE FROM history
                WHERE "user" = ANY(%(users)s) AND ctid IN (SELECT place FROM removed)
            ), left_of_rows AS (
                INSERT INTO history
                SELECT "user", array_agg(item ORDER BY number), array_agg(rating ORDER BY number),
                       array_agg(rated_at ORDER BY number), partition,
                       array_agg("offset" ORDER BY number)
                FROM meant WHERE NOT withdrawn AND place IN (SELECT place FROM removed)
                GROUP BY place, "user", partition
            ){counted}
            SELECT count(*), coalesce(sum(rating::float8), 0),
                   coalesce(array_agg(DISTINCT item), '{{}}') FROM removed""",
        {"users": users, "everything": everything},
    )
    ratings, total, items = cur.fetchall()[0]
    for model in models:  # of whom nothing is left there is no row
        cur.execute(
            f"DELETE FROM user_rows_{model:d} WHERE model = {model:d} AND id = ANY(%s) AND n = 0",
            (users,),
        )
    return Withdrawn(ratings, total, users, items)


@dataclass(frozen=True)
class UserNow:
    """What is left of a user.

    Attributes
    ----------
    user : str
    n : int
        0 where there is no row.
    state : bytes
    items, ratings : list
        What the user has rated, in the order of the log.
    """

    user: str
    n: int
    state: bytes
    items: list[str]
    ratings: list[float]


# Users read at once: each may have rated some thousand items.
_CHUNK = 200


def users_now(cur: cursor, model: int, users: Sequence[str]) -> Iterator[list[UserNow]]:
    """Rows and ratings of some users, as the cursor's transaction sees them, in parts."""
    for start in range(0, len(users), _CHUNK):
        some = list(users[start : start + _CHUNK])
        cur.execute(
            "SELECT id, n, state FROM user_rows WHERE model = %s AND id = ANY(%s)", (model, some)
        )
        rows = {user: (n, bytes(state)) for user, n, state in cur.fetchall()}
        cur.execute(
            """SELECT "user", array_agg(item ORDER BY partition, "offset"),
                      array_agg(rating ORDER BY partition, "offset")
               FROM ratings WHERE "user" = ANY(%s) GROUP BY "user" """,
            (some,),
        )
        rated = {user: (items, ratings) for user, items, ratings in cur.fetchall()}
        yield [
            UserNow(user, *rows.get(user, (0, b"")), *rated.get(user, ([], []))) for user in some
        ]


def items_now(cur: cursor, model: int, items: Sequence[str]) -> list[tuple[str, int, bytes]]:
    """Rows of some items, as the cursor's transaction sees them: id, ``n``, state."""
    cur.execute(
        "SELECT id, n, state FROM item_rows WHERE model = %s AND id = ANY(%s)", (model, list(items))
    )
    return [(item, n, bytes(state)) for item, n, state in cur.fetchall()]


def users_since(cur: cursor, next_offsets: Mapping[int, int]) -> dict[str, bool]:
    """Who has withdrawn anything at or past these offsets of the partitions; whether everything."""
    cur.execute(
        """SELECT "user", bool_or(item IS NULL) FROM withdrawals
           WHERE "offset" >= coalesce((%s::jsonb ->> partition::text)::bigint, 0)
           GROUP BY "user" ORDER BY "user" """,
        (json.dumps(next_offsets),),
    )
    return dict(cur.fetchall())
