"""What must hold after any accident: Redis equals Postgres, the factors those of a quiet run."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
import redis

from recommender.model import MemoryModel
from recommender.model_settings import ModelSettings
from storage.keys import Keys
from storage.rated import decode
from tests.integration.modeler.conftest import Modeler

Ratings = list[tuple[str, str, float]]


def assert_rating_head_of_an_uninterrupted_run(modeler: Modeler, ratings: Ratings) -> None:
    """The stored rating head is, bit for bit, that of the ratings learned one by one in memory."""
    users = sorted({user for user, _, _ in ratings})
    items = sorted({item for _, item, _ in ratings})
    settings = ModelSettings(passes=1, replay=0)
    model = MemoryModel(pa.array(users), pa.array(items), settings)
    for user, item, rating in ratings:
        model.learn(
            np.array([users.index(user)], np.int32),
            np.array([items.index(item)], np.int32),
            np.array([rating], np.float32),
        )
    for side, ids, rows in (("user", users, model.user_rows), ("item", items, model.item_rows)):
        stored = {
            one: (n, bytes(s))
            for one, n, s in modeler.query(f"SELECT id, n, state FROM {side}_rows")
        }
        packed = rows.pack()
        assert set(stored) == set(ids)
        for place, one in enumerate(ids):
            n, state = stored[one]
            found = np.frombuffer(state, settings.format.state)[0]
            assert n == packed[place]["n"], one
            for name in ("bias", "factors"):
                np.testing.assert_array_equal(found[name], packed[place][name], err_msg=one)
    assert modeler.query("SELECT rating_sum FROM models") == [(model.mean.total,)]


def await_projected(modeler: Modeler, model: int = 1) -> None:
    """Wait until Redis says that it is as far as Postgres."""
    keys = _keys(modeler, model)
    with redis.Redis.from_url(modeler.environment["RECOMMENDER_REDIS_URL"]) as client:

        def projected() -> bool:
            try:
                batch, at = client.hmget(keys.state, "batch", "at")
            except redis.RedisError:
                return False
            committed = modeler.query(
                "SELECT batch, extract(epoch FROM at)::float8 FROM micro_batches"
                f" JOIN models USING (model, batch) WHERE model = {model}"
            )
            # Of a database that was restored there may have been as many before.
            return bool(batch) and committed == [(int(batch), pytest.approx(float(at), abs=1e-3))]

        modeler.wait_for(projected, "the projection")


def assert_projection_equals_truth(modeler: Modeler, model: int = 1) -> None:
    """Redis has every row of the model and every rating of Postgres, and nothing else."""
    keys = _keys(modeler, model)
    with redis.Redis.from_url(modeler.environment["RECOMMENDER_REDIS_URL"]) as client:
        expected: dict[str, object] = {}
        for side, name in (("user", keys.user), ("item", keys.item)):
            rows = f"SELECT id, n, state FROM {side}_rows_{model}"
            for one, n, state in modeler.query(rows):
                expected[name(one)] = n.to_bytes(4, "little") + bytes(state)
        history = 'SELECT "user", item, rating FROM ratings ORDER BY partition, "offset"'
        rated: dict[str, dict[str, float]] = {}
        for user, item, rating in modeler.query(history):
            rated.setdefault(keys.rated(user), {})[item] = rating
        found: dict[str, object] = {}
        found_rated: dict[str, dict[str, float]] = {}
        for key in map(bytes.decode, client.scan_iter(match=f"{keys.start}*", count=10_000)):
            if key.startswith(keys.rated("")):
                found_rated[key] = decode(client.get(key))
            elif key.startswith((keys.user(""), keys.item(""))):
                found[key] = client.get(key)
        assert found == expected
        assert found_rated == rated
        offsets = json.loads(client.hget(keys.state, "offsets"))
        stored = modeler.query(
            f"SELECT topic, partition, next_offset FROM offsets WHERE model = {model}"
        )
        assert {(t, int(p), n) for t, ps in offsets.items() for p, n in ps.items()} == set(stored)


def _keys(modeler: Modeler, model: int) -> Keys:
    return Keys(modeler.environment["RECOMMENDER_REDIS_PREFIX"], model)
