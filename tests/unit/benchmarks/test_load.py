"""Requests as the load generator reads them, and figures that fail rather than mislead."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from benchmarks.load import Request, ask
from recommender.errors import MissingRequirement, RecommenderError


@pytest.fixture
def wrk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name, which prints what the test tells it to."""
    program = tmp_path / "wrk"
    program.write_text('#!/bin/sh\ncat "$(dirname "$0")/said"\n')
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path / "said"


def test_lines_of_requests() -> None:
    assert Request("/predict?user=u1").line == "GET\t/predict?user=u1"
    posted = Request("/ratings", b'{"user":"u1"}', "application/json")
    assert posted.line == 'POST\t/ratings\tapplication/json\t{"user":"u1"}'


def test_rate_is_answers_over_the_time_they_took(wrk: Path) -> None:
    wrk.write_text('x\n{"requests": 30, "seconds": 2.0, "p50": 1.5, "p99": 9, "failed": 0}\n')
    found = ask("http://127.0.0.1:1", [Request("/")], 1)
    assert (found.rate, found.p50, found.p99) == (15.0, 1.5, 9)


@pytest.mark.parametrize(("requests", "failed"), [(0, 0), (30, 1)])
def test_an_error_fails_the_measurement(wrk: Path, requests: int, failed: int) -> None:
    wrk.write_text(
        f'{{"requests": {requests}, "seconds": 2.0, "p50": 1, "p99": 9, "failed": {failed}}}\n'
    )
    with pytest.raises(RecommenderError, match=f"{failed} of {requests} requests"):
        ask("http://127.0.0.1:1", [Request("/")], 1)


def test_without_wrk_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingRequirement, match="apt-get install wrk"):
        ask("http://127.0.0.1:1", [Request("/")], 1)
