"""Schemathesis over both services' OpenAPI, all checks on: no 5xx, nothing undocumented.

The predictor runs over real stores with the model worked out by hand, ingest over a log in memory.
Examples are the same at each run, and few: together well below 90 s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
import tenacity
from hypothesis import HealthCheck
from hypothesis import strategies as st
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import negative_data_rejection

import ingest.app
import ingest.bulk
import predictor.app
from ingest.settings import IngestSettings
from predictor.settings import PredictorSettings
from storage.log import Record
from tests.fakes.rating_log import FakeLog
from tests.fakes.services import listening
from tests.integration.predictor.conftest import Writer

EXAMPLES = hypothesis.settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


def schema(url: str) -> Any:
    found = schemathesis.openapi.from_url(f"{url}/openapi.json")
    # Postgres keeps no NUL; a schema cannot say so of attributes of any depth.
    found.config.generation.update(allow_x00=False)
    return found


@pytest.fixture
def predictor_schema(dsn: str, redis_url: str) -> Iterator[Any]:
    Writer(dsn, redis_url).hand_model()
    settings = PredictorSettings(postgres_dsn=dsn, redis_url=redis_url, wait_timeout=0.01)
    with listening(predictor.app.build(settings)) as url:
        for attempt in tenacity.Retrying(
            stop=tenacity.stop_after_delay(20), wait=tenacity.wait_fixed(0.02)
        ):
            with attempt:
                httpx.get(f"{url}/health/ready").raise_for_status()
        yield schema(url)


@pytest.fixture
def ingest_schema(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def load(_settings: object, _topic: str, records: Iterator[Record]) -> int:
        return sum(1 for _ in records)

    monkeypatch.setattr(ingest.bulk, "end_offsets", lambda *_: {0: 1})
    app = ingest.app.build(IngestSettings())
    app.state.log = FakeLog()
    app.state.load = load
    with listening(app, lifespan="off") as url:
        yield schema(url)


# Lines of which one is right for either route; the others are named in the answer.
schemathesis.openapi.media_type(
    "text/csv", st.text().map(lambda text: f"user,item,rating\nu,m,4\n{text}".encode())
)
schemathesis.openapi.media_type(
    "application/x-ndjson",
    st.text().map(
        lambda text: f'{{"user": 1, "item": 2, "rating": 3}}\n{{"item": 1}}\n{text}'.encode()
    ),
)


# RFC 3339 begins with the year 0; ratings were given from 1970 on, and not after 2099.
schemathesis.openapi.format(
    "date-time",
    st.datetimes(datetime(1970, 1, 2), datetime(2099, 12, 30)).map(lambda t: f"{t.isoformat()}Z"),
)


def attempt(operation: Any, mode: Any, excluded: list[Any], prepare: Callable[[Any], None]) -> None:
    @EXAMPLES
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        # A place never learned is answered by 503, as documented; all other 5xx are failures.
        for given in (case.query, case.body):
            if isinstance(given, dict):
                given.pop("after", None)
        if mode.is_positive:
            prepare(case)
        case.call_and_validate(excluded_checks=excluded)

    one()


def try_all(schema: Any, prepare: Callable[[Any], None] = lambda _: None) -> None:
    """Try every operation, with right and with wrong data; name all that fail."""
    failed: list[str] = []
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in schemathesis.GenerationMode:
            if "/bulk/" in operation.path and mode.is_negative:
                continue  # a text has no wrong type; what is wrong in lines is named line by line
            # Whatever an address holds is text, and any text is an id: wrong is nothing there.
            excluded = [negative_data_rejection] if operation.method == "get" else []
            if operation.method == "delete" and mode.is_negative:
                continue

            try:
                attempt(operation, mode, excluded, prepare)
            except hypothesis.errors.Unsatisfiable:
                continue  # there is no wrong data for what takes none
            except (Exception, FailureGroup) as error:
                failed.append(f"{operation.label} ({mode.name}): {error}")
            tried += 1
    assert not failed, "\n\n".join(failed)
    assert tried > 10


def test_predictor(predictor_schema: Any) -> None:
    def prepare(case: Any) -> None:
        # What a schema cannot say: one of three, and the scale of the model that serves.
        if isinstance(case.body, dict):
            for one, other in (("ratings", "users"), ("ratings", "group"), ("users", "group")):
                if case.body.get(one) is not None:
                    case.body.pop(other, None)
            if isinstance(ratings := case.body.get("ratings"), dict):
                case.body["ratings"] = {
                    item: min(max(rating, 0.5), 5.0) if isinstance(rating, float | int) else rating
                    for item, rating in ratings.items()
                }

    try_all(predictor_schema, prepare)


def test_ingest(ingest_schema: Any) -> None:
    try_all(ingest_schema)
