"""Commits micro-batches as the modeler does, for all models that learn, without Spark or Kafka.

What a rating does to a row is made up here (its bias is raised by the rating); who learns what, and
what is written in which transaction, is as the modeler and the registry have agreed on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing

import numpy as np
import psycopg2

from recommender.model_settings import ModelSettings
from recommender.rows import RowFormat
from storage.settings import PostgresSettings
from storage.staging import Address
from storage.truth import Truth, lock_learning
from storage.withdrawals import note, withdraw

Rating = tuple[str, str, float]
SETTINGS = ModelSettings(rank=4, ranking_rank=3)

RATINGS = [("u1", "a", 4.0), ("u2", "a", 3.0), ("u1", "b", 5.0), ("u3", "c", 2.0)]


class Engine:
    """The modeler of a database: its first model is 1."""

    def __init__(self, dsn: str, settings: ModelSettings = SETTINGS) -> None:
        self.dsn = dsn
        with closing(Truth(PostgresSettings(postgres_dsn=dsn))) as truth:
            truth.serving_or_new_model(settings.model_dump(mode="json"), "made up")
        self._connection = psycopg2.connect(dsn)
        self._offsets = [0, 0]

    def close(self) -> None:
        self._connection.close()

    def learn(
        self,
        ratings: Sequence[Rating],
        errors: Mapping[int, float] | None = None,
        duplicates: int = 0,
    ) -> None:
        """Commit one micro-batch.

        Parameters
        ----------
        errors : mapping
            The sum of squared errors of each model; 0.5 a rating where none is given.
        """
        with self._connection, self._connection.cursor() as cur:
            cur.execute(
                "SELECT model FROM models WHERE status IN ('candidate', 'serving') "
                "ORDER BY model FOR UPDATE"
            )
            cur.execute(  # a statement of its own sees what was committed while that one waited
                "SELECT model, batch, settings, rating_count FROM models "
                "WHERE status IN ('candidate', 'serving') ORDER BY model"
            )
            learning = cur.fetchall()
            offsets = [*self._offsets]
            for user, item, rating in ratings:
                partition = sum(user.encode()) % 2
                cur.execute(
                    "INSERT INTO history VALUES (%s, ARRAY[%s], ARRAY[%s], '{0}', %s, ARRAY[%s])",
                    (user, item, rating, partition, offsets[partition]),
                )
                offsets[partition] += 1
            offsets[0] += duplicates
            for model, batch, settings, count in learning:
                form = ModelSettings(**settings).format
                for user, item, rating in ratings:
                    self._touch(cur, "user", model, batch + 1, user, rating, form)
                    self._touch(cur, "item", model, batch + 1, item, rating, form)
                cur.execute(
                    "UPDATE models SET batch = batch + 1, rating_count = rating_count + %s, "
                    "rating_sum = rating_sum + %s WHERE model = %s",
                    (len(ratings), sum(one[2] for one in ratings), model),
                )
                for partition, following in enumerate(offsets):
                    cur.execute(
                        "INSERT INTO offsets VALUES (%s, 'ratings', %s, %s) ON CONFLICT "
                        "(model, topic, partition) DO UPDATE SET next_offset = %s",
                        (model, partition, following, following),
                    )
                squared = (errors or {}).get(model, 0.5 * len(ratings))
                cur.execute(
                    "INSERT INTO micro_batches VALUES (%s, %s, now(), %s, %s, 0, %s, %s, 0, 0, %s,"
                    " '{\"learn\": 0.01}', %s)",
                    (
                        *(model, batch + 1, len(ratings), duplicates, squared, squared),
                        count + len(ratings),
                        json.dumps({"ratings": dict(enumerate(offsets))}),
                    ),
                )
        self._offsets = offsets

    def withdraw(self, user: str, item: str | None = None) -> int:
        """Commit one micro-batch of a withdrawal; how many ratings it took back."""
        partition = sum(user.encode()) % 2
        with self._connection, self._connection.cursor() as cur:
            models = [model for model, _, _ in lock_learning(cur)]
            cur.execute("SELECT batch + 1 FROM models WHERE model = %s", (models[0],))
            ((batch,),) = cur.fetchall()
            cur.execute(
                "TRUNCATE staged_withdrawals_0; "
                "INSERT INTO staged_withdrawals_0 VALUES (0, 0, %s, %s, %s, %s, 0)",
                (partition, self._offsets[partition], user, item),
            )
            self._offsets[partition] += 1
            where = Address(0, 0, [0])
            note(cur, where)
            found = withdraw(cur, where, models, batch)
            cur.execute(
                "UPDATE models SET batch = %s, rating_count = rating_count - %s, "
                "rating_sum = rating_sum - %s WHERE model = ANY(%s)",
                (batch, found.ratings, found.total, models),
            )
            cur.execute(
                "UPDATE offsets SET next_offset = %s WHERE partition = %s",
                (self._offsets[partition], partition),
            )
            cur.execute(
                "INSERT INTO micro_batches (model, batch, ratings, duplicates, dead_letters, "
                "squared_error, absolute_error, warm_ratings, warm_squared_error, total_ratings, "
                "offsets, withdrawals, withdrawn) SELECT model, batch, 0, 0, 0, 0, 0, 0, 0, "
                "rating_count, %s, 1, %s FROM models WHERE model = ANY(%s)",
                (
                    json.dumps({"ratings": dict(enumerate(self._offsets))}),
                    *(found.ratings, models),
                ),
            )
        return found.ratings

    def _touch(
        self,
        cur: object,
        side: str,
        model: int,
        batch: int,
        one: str,
        rating: float,
        form: RowFormat,
    ) -> None:
        assert isinstance(cur, psycopg2.extensions.cursor)
        cur.execute(f"SELECT n, state FROM {side}_rows_{model} WHERE id = %s", (one,))
        found = cur.fetchone()
        state = np.frombuffer(found[1], form.state).copy() if found else np.zeros(1, form.state)
        state["bias"] += rating
        cur.execute(
            f"INSERT INTO {side}_rows_{model} VALUES (%s, %s, %s, %s, %s) ON CONFLICT (model, id) "
            "DO UPDATE SET n = excluded.n, batch = excluded.batch, state = excluded.state",
            (model, one, (found[0] if found else 0) + 1, batch, state.tobytes()),
        )


def assert_every_learning_model_has_learned_all(dsn: str) -> None:
    """Of each model that learns: Σ n of both sides, μ and offsets are those of the history."""
    with closing(psycopg2.connect(dsn)) as opened, opened.cursor() as cur:
        cur.execute("SELECT count(*), sum(rating::float8) FROM ratings")
        stored, total = cur.fetchone() or (0, 0.0)
        cur.execute(
            "SELECT model, rating_count, rating_sum, batch, (SELECT jsonb_object_agg("
            "partition, next_offset) FROM offsets o WHERE o.model = m.model) FROM models m "
            "WHERE status IN ('candidate', 'serving')"
        )
        learning = cur.fetchall()
        assert len({json.dumps(row[1:]) for row in learning}) == 1, learning
        for model, count, rating_sum, *_ in learning:
            assert count == stored
            assert abs(rating_sum - total) < 1e-6
            for side, own in (("user", '"user"'), ("item", "item")):
                # Row by row: what is missing here and twice there would not show in a sum.
                cur.execute(
                    f"SELECT count(*) FROM (SELECT {own} AS id, count(*) AS n FROM ratings "
                    f"GROUP BY 1) h FULL JOIN {side}_rows_{model} r ON r.id = h.id "
                    "WHERE r.n IS DISTINCT FROM h.n"
                )
                assert cur.fetchone() == (0,), (model, side)
        cur.execute("SELECT count(*) FROM models WHERE status = 'serving'")
        assert cur.fetchone() == (1,)
