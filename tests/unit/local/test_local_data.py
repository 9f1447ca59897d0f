"""Which data a run loads, and how they are cut and sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from local import backlog, data, traffic
from local.settings import LocalSettings
from recommender import datasets
from recommender.errors import MissingRequirement, Unavailable

CSV = "user,item,rating,timestamp\nu1,i1,4,300\nu2,i1,3.5,100\nu1,i2,5,200\nu3,i9,1,400\n"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "four.csv"
    path.write_text(CSV)
    return path


def settings(tmp_path: Path, **given: Any) -> LocalSettings:
    (tmp_path / "state").mkdir(exist_ok=True)
    return LocalSettings(state=tmp_path / "state", **given)


def nothing_to_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_arguments: object, **_options: object) -> httpx.Response:
        raise httpx.ConnectError("no network")

    monkeypatch.setattr(data, "SHARED", tmp_path / "absent.zip")
    monkeypatch.setattr(httpx, "get", refuse)


def test_what_is_asked_for(tmp_path: Path, csv: Path) -> None:
    source = data.choose(settings(tmp_path, dataset=csv, backlog=0.25))
    assert source == data.Source(str(csv), "four.csv", 0.25)
    assert len(source.load()) == 4


def test_the_next_start_continues_with_the_same(tmp_path: Path, csv: Path) -> None:
    first = data.choose(settings(tmp_path, dataset=csv, backlog=0.25))
    data.remember(tmp_path / "state", first)
    assert data.choose(settings(tmp_path)) == first
    # The cut is not moved: what has been published must not come again as live traffic.
    assert data.choose(settings(tmp_path, dataset=csv, backlog=0.75)) == first


def test_what_was_counted_is_remembered(tmp_path: Path, csv: Path) -> None:
    source = data.choose(settings(tmp_path, dataset=csv, backlog=0.4))
    data.remember(tmp_path / "state", source.counted(source.load()))
    again = data.choose(settings(tmp_path))
    assert (again.ratings, again.titles, again.older) == (4, 0, 1)
    assert (again.rating_min, again.rating_max) == (1.0, 5.0)


def test_other_data_need_another_state(tmp_path: Path, csv: Path) -> None:
    data.remember(tmp_path / "state", data.choose(settings(tmp_path, dataset=csv)))
    other = tmp_path / "other.csv"
    other.write_text(CSV)
    with pytest.raises(MissingRequirement, match=r"four\.csv.*make clean"):
        data.choose(settings(tmp_path, dataset=other))


def test_data_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingRequirement, match=r"absent\.zip does not exist"):
        data.choose(settings(tmp_path, dataset=tmp_path / "absent.zip"))


def test_the_shared_copy_is_taken_into_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_to_be_had(monkeypatch, tmp_path)
    shared = tmp_path / "ml-latest-small.zip"
    shared.write_bytes(b"films")
    monkeypatch.setattr(data, "SHARED", shared)
    source = data.choose(settings(tmp_path))
    copy = tmp_path / "state" / "data" / "ml-latest-small.zip"
    assert source == data.Source(str(copy), "MovieLens ml-latest-small", 0.5)
    assert copy.read_bytes() == b"films"
    shared.unlink()
    assert data.choose(settings(tmp_path)) == source


def test_generated_data_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_to_be_had(monkeypatch, tmp_path)
    source = data.choose(settings(tmp_path))
    assert source.description.startswith("generated: ")
    assert len(source.load()) == data.GENERATED_RATINGS


def test_a_download_that_is_not_what_it_was_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_to_be_had(monkeypatch, tmp_path)
    request = httpx.Request("GET", data.MOVIELENS_URL)
    answers = httpx.Response(200, content=b"<html>not found</html>", request=request)
    monkeypatch.setattr(httpx, "get", lambda *_a, **_o: answers)
    assert data.choose(settings(tmp_path)).path == data.GENERATED
    assert list((tmp_path / "state" / "data").iterdir()) == []


def test_the_cut_is_by_time(csv: Path) -> None:
    part = backlog.cut(datasets.load(csv), 0.5)
    # Times 300, 100, 200, 400 in file order: the two oldest are rows 1 and 2.
    assert part.backlog.tolist() == [1, 2]
    assert part.live.tolist() == [0, 3]


@pytest.mark.parametrize(("share", "older"), [(0.0, 0), (0.3, 1), (1.0, 4)])
def test_the_cut_rounds_down(csv: Path, share: float, older: int) -> None:
    part = backlog.cut(datasets.load(csv), share)
    assert (len(part.backlog), len(part.live)) == (older, 4 - older)


def test_every_rating_names_its_row(csv: Path) -> None:
    rows = np.array([3, 0])
    sent = [rating.model_dump() for rating in backlog.ratings(datasets.load(csv), rows)]
    assert sent == [
        {"user": "u3", "item": "i9", "rating": 1.0, "timestamp": 400.0, "event_id": "four:3"},
        {"user": "u1", "item": "i1", "rating": 4.0, "timestamp": 300.0, "event_id": "four:0"},
    ]


class Ingest:
    """Takes ratings, fails when told to."""

    def __init__(self, *failures: httpx.Response | Exception) -> None:
        self.failures = list(failures)
        self.received: list[list[dict[str, Any]]] = []

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._answer), base_url="http://ingest")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        self.received.append(json.loads(request.content))
        return httpx.Response(202)


def pace(rate: float) -> traffic.Pace:
    return traffic.Pace(rate, sleep=lambda _seconds: None)


def test_what_fails_is_sent_again_and_nothing_is_skipped(tmp_path: Path) -> None:
    ingest = Ingest(httpx.ConnectError("away"), httpx.Response(503))
    progress = traffic.Progress(tmp_path / "streamed")
    ratings = [{"user": str(number)} for number in range(5)]
    traffic.stream(iter(ratings), ingest.client(), pace(20), progress)
    assert ingest.received == [ratings[0:2], ratings[2:4], ratings[4:5]]
    assert progress.read() == 5


def test_progress_stands_where_the_last_acknowledgement_was(tmp_path: Path) -> None:
    ingest = Ingest()
    progress = traffic.Progress(tmp_path / "streamed")

    def ratings() -> Any:
        yield {"user": "1"}
        ingest.failures = [httpx.Response(422)]
        yield {"user": "2"}

    with pytest.raises(httpx.HTTPStatusError):
        traffic.stream(ratings(), ingest.client(), pace(10), progress)
    assert progress.read() == 1


def test_an_ingest_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "PATIENCE", 0.2)
    away = [httpx.ConnectError("away")] * 100
    with pytest.raises(Unavailable, match="ingest"):
        traffic.send(Ingest(*away).client(), [{}])


class Time:
    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_the_pace_holds_the_rate_and_makes_up_for_short_delays() -> None:
    time = Time()
    paced = traffic.Pace(200, time.now, time.sleep)
    assert paced.size == 20
    at = []
    for number in range(8):
        paced.wait()
        at.append(round(time.seconds - 100, 6))
        if number == 2:
            time.seconds += 0.25  # a slow answer
    assert at == [0.0, 0.1, 0.2, 0.45, 0.45, 0.5, 0.6, 0.7]


def test_the_pace_does_not_make_up_for_a_long_pause() -> None:
    time = Time()
    paced = traffic.Pace(200, time.now, time.sleep)
    paced.wait()
    time.seconds += 60
    paced.wait()
    paced.wait()
    assert round(time.seconds - 160, 6) == 0.1
