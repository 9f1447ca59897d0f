"""Training from what Postgres holds: the ratings that hold now, with catalogue and scale."""

from __future__ import annotations

import psycopg2
import pytest

from recommender.errors import InvalidData, Unavailable
from storage.settings import PostgresSettings
from storage.stored_ratings import stored_ratings


def execute(dsn: str, *statements: str) -> None:
    with psycopg2.connect(dsn) as opened, opened.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    opened.close()


def test_the_ratings_that_hold_now(dsn: str) -> None:
    execute(
        dsn,
        """INSERT INTO history VALUES
           ('a', '{x,y}', '{1,3}', '{10,12}', 0, '{0,1}'), ('b', '{x}', '{2}', '{11}', 1, '{0}'),
           ('a', '{x}', '{5}', '{13}', 0, '{2}'), ('ü', '{z}', '{4.5}', '{14.5}', 1, '{1}')""",
        """INSERT INTO items VALUES ('x', 'Ex (1999)', '{"year": 1999}')""",
        """INSERT INTO models (model, status, settings)
           VALUES (1, 'serving', '{"rank": 2, "rating_min": 0, "rating_max": 10}')""",
    )

    found = stored_ratings(PostgresSettings(postgres_dsn=dsn))

    assert found.users.to_pylist() == ["a", "a", "b", "ü"]
    assert found.items.to_pylist() == ["y", "x", "x", "z"]
    assert found.ratings.tolist() == [3, 5, 2, 4.5]
    assert found.timestamps.tolist() == [12, 13, 11, 14.5]
    assert (found.rating_min, found.rating_max) == (0, 10)
    assert found.catalogue == [{"item": "x", "title": "Ex (1999)", "attributes": {"year": 1999}}]
    assert found.indexed().user_ids.to_pylist() == ["a", "b", "ü"]


def test_nothing_stored_and_nobody_there(dsn: str) -> None:
    with pytest.raises(InvalidData, match="no rating is stored yet"):
        stored_ratings(PostgresSettings(postgres_dsn=dsn))
    with pytest.raises(Unavailable):
        stored_ratings(
            PostgresSettings(postgres_dsn="postgresql://127.0.0.1:1/nobody", postgres_timeout=1)
        )
