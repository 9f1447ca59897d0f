"""Kept users are used as long as nothing can have changed them, and no longer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from predictor.kept import KeptUsers
from recommender.rows import RowFormat, Rows
from tests.fakes.hand_model import served_model


@pytest.fixture
def kept() -> KeptUsers:
    kept = KeptUsers(2)
    kept.follow(True)
    return kept


def test_current_until_the_user_changes(kept, user):
    alice, bob = user("alice", rated={"a": 5.0}), user("bob", rated={})
    for one in (alice, bob):
        kept.put(1, one, kept.changes)
    kept.forget(1, ["alice", "never seen"])
    assert kept.current(1, "alice", with_ratings=False) is None
    assert kept.current(1, "bob", with_ratings=True) is bob
    assert kept.current(2, "bob", with_ratings=True) is None  # another model's
    kept.forget(1, None)
    assert kept.current(1, "bob", with_ratings=True) is None
    assert kept.last(1, "alice") is alice  # for the time when no store can be asked


def test_what_was_read_before_a_change_is_not_current_after_it(kept, user):
    asked = kept.changes
    kept.forget(1, ["somebody"])
    kept.put(1, user("alice", rated={}), asked)
    assert kept.current(1, "alice", with_ratings=False) is None


def test_who_has_taken_back_ratings_is_not_kept_at_all(kept, user):
    for name in ("alice", "bob"):
        kept.put(1, user(name, rated={}), kept.changes)
    asked = kept.changes
    kept.drop(["alice"])
    kept.put(1, user("alice", rated={"a": 5.0}), asked)  # read before they were taken back
    assert kept.last(1, "alice") is None
    assert kept.last(1, "bob") is not None
    kept.drop(None)
    assert kept.last(1, "bob") is None


def test_only_current_while_changes_are_followed(kept, user):
    kept.put(1, user("alice", rated={}), kept.changes)
    kept.follow(False)
    assert kept.current(1, "alice", with_ratings=False) is None
    kept.follow(True)  # what changed meanwhile was not told
    assert kept.current(1, "alice", with_ratings=False) is None


def test_a_row_read_alone_keeps_the_ratings_but_not_their_age(kept, user):
    rated = user("alice", rated={"a": 5.0})
    kept.put(1, rated, kept.changes)
    kept.forget(1, ["alice"])
    kept.put(1, replace(rated, rated=None), kept.changes)
    assert kept.current(1, "alice", with_ratings=False) is not None
    assert kept.current(1, "alice", with_ratings=True) is None
    last = kept.last(1, "alice")
    assert last is not None
    assert last.rated == {"a": 5.0}


def test_the_one_not_asked_for_longest_goes(kept, user):
    for name in ("alice", "bob"):
        kept.put(1, user(name, rated={}), kept.changes)
    kept.current(1, "alice", with_ratings=True)
    kept.put(1, user("carl", rated={}), kept.changes)
    assert set(kept.ids(1)) == {"alice", "carl"}


def test_places_of_rated_items_follow_a_table_that_grows(user):
    items = served_model().items
    alice = user("alice", rated={"a": 5.0, "new": 4.0})
    before = alice.rated_in(items)
    assert (before.positions.tolist(), before.ratings.tolist()) == ([items.position("a")], [5.0])
    items.put(["new"], Rows.empty(1, RowFormat(rank=2, ranking_rank=0)))
    after = alice.rated_in(items)
    assert after.positions.tolist() == [items.position("a"), items.position("new")]
    assert after.ratings.tolist() == [5.0, 4.0]
