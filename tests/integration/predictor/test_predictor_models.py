"""``/models`` over a real registry: shapes, the key, what is refused, and the switch."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from pydantic import TypeAdapter

from predictor.model_answers import ModelList, ModelVersion, RaceDescription
from tests.integration.predictor.conftest import Writer
from tests.integration.storage.made import add_candidate

KEY = {"Authorization": "Bearer secret"}


@pytest.fixture
def two(writer: Writer) -> Writer:
    """A serving model and a candidate that have tested nothing together yet."""
    writer.hand_model()
    add_candidate(writer.dsn)
    return writer


def test_all_and_one(two: Writer, start: Any, eventually: Any) -> None:
    with start(two) as client:
        eventually(lambda: client.get("/health/ready").status_code == 200, "ready")
        answer = client.get("/models")
        assert answer.json()["as_of"]["batch"] == 1
        assert answer.json()["as_of"]["offsets"] == {"0": 4}
        candidate, serving = answer.json()["models"]
        assert TypeAdapter(ModelList).validate_json(answer.content, strict=False)
        assert (candidate["model"], candidate["status"], candidate["parent"]) == (2, "candidate", 1)
        assert candidate["gate"] == {
            "state": "waiting",
            "reason": "tested on 0 of at least 2,000 ratings",
        }
        assert candidate["prequential"] == {"ratings": 0, "rmse": None, "rmse_serving": None}
        assert (serving["status"], serving["gate"]["state"]) == ("serving", "none")
        # the one micro-batch of the model worked out by hand: 4 ratings, squared error 1
        assert serving["prequential"] == {"ratings": 4, "rmse": 0.5, "rmse_serving": 0.5}
        one = client.get("/models/2")
        assert one.json() == {"as_of": answer.json()["as_of"], **candidate}
        ModelVersion.model_validate_json(one.content)
        assert client.get("/models/3").status_code == 404
        assert client.get("/models/3").json()["detail"] == "There is no model 3."
        assert client.get("/models/three").status_code == 404


def test_promote_roll_back_retire(two: Writer, start: Any) -> None:
    with start(two) as client:
        refused = client.post("/models/2/promote", json={})
        assert refused.status_code == 409
        assert "has not passed the gate (waiting)" in refused.json()["detail"]
        promoted = client.post("/models/2/promote", json={"force": True})
        assert promoted.status_code == 200
        ModelVersion.model_validate_json(promoted.content)
        assert promoted.json()["status"] == "serving"
        assert client.post("/models/2/promote", json={"force": True}).status_code == 409
        assert client.post("/models/2/retire").status_code == 409
        back = client.post("/models/rollback").json()
        assert (back["model"], back["reason"]) == (1, "rolled back from model 2")
        assert client.post("/models/2/retire").json()["status"] == "retired"
        assert client.post("/models/rollback").status_code == 409
        assert client.post("/models/9/promote", json={}).status_code == 404


def test_changes_need_a_key_where_one_is_set_and_nothing_else_does(two: Writer, start: Any) -> None:
    with start(two, http_api_keys="secret") as client:
        for path in ("/models/2/promote", "/models/rollback", "/models/2/retire"):
            assert client.post(path).status_code == 401
            assert client.post(path, headers={"X-API-Key": "wrong"}).status_code == 401
        assert client.get("/models").status_code == 200
        pairs = {"pairs": [{"user": "alice", "item": "a"}]}
        assert client.post("/predict", json=pairs).status_code in (200, 503)
        done = client.post("/models/2/promote", json={"force": True}, headers=KEY)
        assert done.json()["status"] == "serving"


def test_what_a_promotion_may_say(two: Writer, start: Any) -> None:
    with start(two) as client:
        for wrong in ({"force": 1}, {"forced": True}, [True]):
            assert client.post("/models/2/promote", json=wrong).status_code == 422


def test_without_postgres_it_is_503(two: Writer, start: Any) -> None:
    gone = "postgresql://127.0.0.1:1/none"
    two.dsn, real = gone, two.dsn
    with start(two, postgres_timeout=0.2) as client:
        assert client.get("/models").status_code == 503
    two.dsn = real


def test_model_tells_of_the_last_drift(two: Writer, start: Any, eventually: Any) -> None:
    for batch in (3, 7):
        two.sql(
            "INSERT INTO drifts VALUES (1, %s, to_timestamp(1e9), 0.8, 0.1, %s)", (batch, batch / 2)
        )
    with start(two) as client:
        eventually(lambda: client.get("/model").json().get("model") == 1, "the model loaded")
        assert client.get("/model").json()["drift"] == {
            **{"batch": 7, "at": "2001-09-09T01:46:40+00:00"},
            **{"usual": 0.8, "deviation": 0.1, "loss": 3.5},
        }


def test_the_race(two: Writer, start: Any) -> None:
    with start(two) as client:
        none = {"race": None, "state": "none", "contestants": [], "out": []}
        answer = client.get("/models/race").json()
        assert {name: answer[name] for name in none} == none
        assert "batch" in answer["as_of"]
        two.sql("INSERT INTO races (race, settings, batch) VALUES (1, '{\"race_width\": 4}', 0)")
        two.sql("UPDATE models SET race = 1 WHERE model = 2")
        answer = client.get("/models/race")
        RaceDescription.model_validate_json(answer.content)
        found = answer.json()
        assert (found["race"], found["state"], found["cost"]["width"]) == (1, "running", 4)
        # the copy has tested nothing, the serving model 4 ratings with squared error 1
        assert [(one["model"], one["rmse"]) for one in found["contestants"]] == [
            (1, 0.5),
            (2, None),
        ]


def test_the_lag_as_the_modeler_told_it(two: Writer, start: Any, eventually: Any) -> None:
    def lag(client: Any) -> Any:
        return client.get("/model").json()["lag"]

    def metric(client: Any) -> str:
        lines = client.get("/metrics").text.splitlines()
        return next(line.split()[1] for line in lines if line.startswith("recommender_records_b"))

    with start(two, idle_seconds=0.1) as client, redis.Redis.from_url(two.url) as told:
        eventually(lambda: client.get("/health/ready").status_code == 200, "ready")
        assert (lag(client), metric(client)) == (None, "NaN")
        told.set("recommender:lag", 42)
        eventually(lambda: lag(client) == 42, "the lag")
        assert metric(client) == "42.0"
        told.delete("recommender:lag")  # as it goes by itself where nobody tells it anew
        eventually(lambda: lag(client) is None, "nothing known")
