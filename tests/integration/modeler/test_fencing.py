"""Who may write: the lease and its fence in Postgres, the claim in Redis; what staging loses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import psycopg2
import pyarrow as pa
import pytest
import redis

from local.redis_server import RedisServer
from recommender.errors import Fenced
from recommender.model_settings import ModelSettings
from recommender.rating_head import Errors
from storage.as_of import AsOf
from storage.postgres_client import watchful
from storage.projection import ClaimLost, Projection
from storage.settings import PostgresSettings, RedisSettings
from storage.staging import Staged, TaskStore
from storage.truth import Commit, Lease, StagingLost, Truth

STATE = b"\x00" * ModelSettings().format.state.itemsize
STAGED = Staged(7, user_rows={1: 1})


@pytest.fixture
def settings(dsn: str) -> PostgresSettings:
    return PostgresSettings(postgres_dsn=dsn)


@pytest.fixture
def truth(settings: PostgresSettings) -> Iterator[Truth]:
    with closing(Truth(settings)) as made:
        yield made


@pytest.fixture
def lease(truth: Truth) -> Lease:
    truth.serving_or_new_model(ModelSettings().model_dump(mode="json"), "")
    return truth.take_over(patience=0)


def staged_row(dsn: str, lease: Lease, slot: int = 1) -> Commit:
    """A micro-batch that changes one user's row, staged."""
    columns = {
        "model": pa.array([lease.serving], pa.int32()),
        "side": pa.array(["user"]),
        "id": pa.array(["u"]),
        "n": pa.array([1], pa.int32()),
        "state": pa.array([STATE]),
    }
    with closing(TaskStore(dsn)) as store:
        store.stage("rows", slot, lease.fence, 7, columns)
    as_of = replace(lease.as_of, batch=lease.as_of.batch + 1, offsets={"ratings": {0: 5}})
    return Commit(as_of, [STAGED], {lease.serving: Errors()})


def test_one_who_was_replaced_commits_nothing(truth: Truth, lease: Lease, dsn: str) -> None:
    commit = staged_row(dsn, lease)
    with psycopg2.connect(dsn) as opened, opened.cursor() as cur:
        cur.execute("UPDATE models SET fence = fence + 1")
    opened.close()
    with pytest.raises(Fenced, match="taken over"):
        truth.commit(lease, commit)
    assert truth.state(lease.serving) == lease.as_of


def test_a_batch_is_committed_once(truth: Truth, lease: Lease, dsn: str) -> None:
    commit = staged_row(dsn, lease)
    assert truth.commit(lease, commit)[0].batch == 1
    with pytest.raises(Fenced, match="at micro-batch 1, not 0"):
        truth.commit(lease, commit)


def test_what_staging_lost_is_noticed_and_nothing_is_changed(
    truth: Truth, lease: Lease, dsn: str
) -> None:
    commit = staged_row(dsn, lease)
    truth.empty_slot(1)  # as a crash of Postgres leaves an unlogged table
    with pytest.raises(StagingLost, match="0 of 1 user rows"):
        truth.commit(lease, commit)
    assert truth.state(lease.serving) == lease.as_of
    assert truth.commit(lease, staged_row(dsn, lease))[0].offsets == {"ratings": {0: 5}}


def test_another_holder_s_and_another_attempt_s_rows_do_not_count(
    truth: Truth, lease: Lease, dsn: str
) -> None:
    staged_row(dsn, replace(lease, fence=lease.fence - 1))
    commit = staged_row(dsn, lease)
    assert truth.commit(lease, replace(commit, staged=[STAGED]))[0].batch == 1


def test_a_second_modeler_is_turned_away_while_the_first_hangs_in_its_commit(
    truth: Truth, lease: Lease, settings: PostgresSettings
) -> None:
    commit = staged_row(settings.postgres_dsn, lease)
    hangs, goes_on = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        goes_on.wait(30)

    first = threading.Thread(target=truth.commit, args=(lease, commit, hang))
    first.start()
    assert hangs.wait(10)
    try:
        with closing(Truth(settings)) as second:
            assert second.serving_or_new_model({}, "") == lease.serving
            with pytest.raises(Fenced, match="another modeler"):
                second.take_over(patience=0.3)
    finally:
        goes_on.set()
        first.join(10)
    assert truth.state(lease.serving).batch == 1


def test_a_lost_connection_gives_the_model_up(
    truth: Truth, lease: Lease, settings: PostgresSettings
) -> None:
    commit = staged_row(settings.postgres_dsn, lease)
    with psycopg2.connect(settings.postgres_dsn) as opened, opened.cursor() as cur:
        cur.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    opened.close()
    with closing(Truth(settings)) as second:
        later = second.take_over(patience=5)
        assert later.fence == lease.fence + 1
        with pytest.raises(psycopg2.Error):
            truth.commit(lease, commit)
        assert second.commit(later, staged_row(settings.postgres_dsn, later))[0].batch == 1


def test_options_that_notice_a_lost_server_do_not_replace_given_ones() -> None:
    parsed = psycopg2.extensions.parse_dsn(watchful("postgresql://u@h/d?connect_timeout=60"))
    assert (parsed["connect_timeout"], parsed["host"]) == ("60", "h")
    assert parsed["tcp_user_timeout"] == "15000"


@pytest.fixture
def projections(redis_url: str) -> Iterator[tuple[Projection, Projection]]:
    settings = RedisSettings(redis_url=redis_url)
    with closing(Projection(settings, 1)) as first, closing(Projection(settings, 1)) as second:
        yield first, second


def test_the_last_to_claim_is_the_one_writer(
    projections: tuple[Projection, Projection], redis_url: str
) -> None:
    old, new = projections
    old.put_rows("user", ["u"], [b"old"])
    new.claim()
    new.put_rows("user", ["u"], [b"new"])
    with pytest.raises(ClaimLost):
        old.put_rows("user", ["u"], [b"late"])
    with pytest.raises(ClaimLost):
        old.announce(AsOf(batch=1), ["u"], [], [])
    with pytest.raises(ClaimLost):
        old.clear()
    with redis.Redis.from_url(redis_url) as client:
        assert client.get("recommender:1:user:u") == b"new"


def test_a_batch_that_lost_its_rows_on_the_way_is_not_announced(
    projections: tuple[Projection, Projection], redis_url: str
) -> None:
    projection, _ = projections
    projection.put_rows("user", ["u"], [b"row"])
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    with pytest.raises(ClaimLost, match="emptied"):
        projection.announce(AsOf(batch=1), ["u"], [], [])
    assert projection.reaches() is None


def test_a_redis_that_came_back_from_a_dump_is_not_taken_for_the_same(
    redis_server: RedisServer, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Projection(RedisSettings(redis_url=redis_url), 1)) as projection:
        projection.claim()
        monkeypatch.setattr(projection, "_run", "the run before")
        projection.put_rows("user", ["u"], [b"row"])
        with pytest.raises(ClaimLost, match="started anew"):
            projection.announce(AsOf(batch=1), ["u"], [], [])


def test_a_projection_that_is_being_cleared_says_nothing_of_how_far_it_reaches(
    projections: tuple[Projection, Projection], monkeypatch: pytest.MonkeyPatch
) -> None:
    projection, other = projections
    projection.put_rows("user", ["u"], [b"row"])
    projection.announce(AsOf(batch=1), ["u"], [], [])

    def die(**_: object) -> Iterator[bytes]:
        raise KeyboardInterrupt

    monkeypatch.setattr(projection._redis, "scan_iter", die)
    with pytest.raises(KeyboardInterrupt):
        projection.clear()
    assert other.reaches() is None
