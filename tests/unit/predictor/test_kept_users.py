"""Kept users are used as long as nothing can have changed them, and no longer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from predictor import kept as kept_module
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
    kept.put(1, user("bob", rated={}), asked)
    assert kept.current(1, "bob", with_ratings=True) is not None  # somebody else has changed
    kept.forget(1, ["alice"])
    kept.forget(1, ["bob"])
    kept.put(1, user("alice", rated={}), asked)
    assert kept.current(1, "alice", with_ratings=False) is None


def test_what_was_read_before_too_many_changes_to_remember_is_not_current(kept, user):
    asked = kept.changes
    for _ in range(16):
        kept.forget(1, ["somebody"])
    kept.put(1, user("alice", rated={}), asked)
    assert kept.current(1, "alice", with_ratings=True) is not None
    kept.forget(1, ["somebody"])
    kept.put(1, user("bob", rated={}), asked)
    assert kept.current(1, "bob", with_ratings=True) is None


def test_what_was_read_before_anybody_may_have_changed_is_not_current(kept, user):
    asked = kept.changes
    kept.forget(1, None)
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


def test_of_a_replayed_user_only_the_row_is_read_again(kept, user):
    items = served_model().items
    alice, bob = user("alice", rated={"a": 5.0}), user("bob", rated={"b": 1.0})
    for one in (alice, bob):
        kept.put(1, one, kept.changes)
    found = alice.rated_in(items)
    kept.forget(1, ["alice", "bob", "never seen"], rated=["bob"])
    assert kept.current(1, "alice", with_ratings=False) is None
    assert kept.outdated(1, 10) == (["alice"], ["bob"])
    assert kept.outdated(1, 10) == ([], [])  # they are being read

    kept.renew(1, replace(alice, bias=0.25, rated=None), kept.changes)
    now = kept.current(1, "alice", with_ratings=True)
    assert now is not None
    assert (now.bias, now.rated) == (0.25, {"a": 5.0})
    assert now.rated_in(items) is found  # not looked up again
    kept.renew(1, replace(bob, rated={"b": 1.0, "a": 4.0}), kept.changes)
    now = kept.current(1, "bob", with_ratings=True)
    assert now is not None
    assert now.rated == {"b": 1.0, "a": 4.0}


def test_without_a_word_on_who_has_rated_anybody_may_have(kept, user):
    kept.put(1, user("alice", rated={"a": 5.0}), kept.changes)
    kept.forget(1, ["alice"])
    assert kept.outdated(1, 10) == ([], ["alice"])


def test_ratings_that_nobody_asked_for_are_not_read_again(kept, user):
    kept.put(1, replace(user("alice"), rated=None), kept.changes)  # as for a prediction
    kept.forget(1, ["alice"], rated=["alice"])
    assert kept.outdated(1, 10) == (["alice"], [])


def test_a_row_read_again_does_not_outlive_the_next_change(kept, user):
    alice = user("alice", rated={"a": 5.0})
    kept.put(1, alice, kept.changes)
    kept.forget(1, ["alice"], rated=[])
    kept.outdated(1, 10)
    asked = kept.changes
    kept.forget(1, ["alice"], rated=["alice"])  # while the store is being asked
    kept.renew(1, replace(alice, rated=None), asked)
    assert kept.current(1, "alice", with_ratings=False) is None
    assert kept.outdated(1, 10) == ([], ["alice"])  # once more, now with ratings
    kept.drop(["alice"])
    kept.renew(1, alice, kept.changes)
    assert kept.last(1, "alice") is None  # who has taken back ratings does not come back


def test_who_is_not_asked_for_is_not_read_again_for_ever(kept, user):
    alice = user("alice", rated={})
    kept.put(1, alice, kept.changes)
    for _ in range(4):
        kept.forget(1, ["alice"], rated=[])
        assert kept.outdated(1, 10).rows == ["alice"]
        kept.renew(1, replace(alice, rated=None), kept.changes)
    assert kept.current(1, "alice", with_ratings=True) is not None  # asked for: again from 0
    for _ in range(5):
        kept.forget(1, ["alice"], rated=[])
        left = kept.outdated(1, 10).rows
        kept.renew(1, replace(alice, rated=None), kept.changes)
    assert left == []


def test_some_at_a_time_and_nobody_of_another_model(user):
    kept = KeptUsers(10)
    kept.follow(True)
    for name in "abc":
        kept.put(1, user(name, rated={}), kept.changes)
    kept.forget(1, ["a", "b", "c"], rated=["b"])
    assert kept.outdated(1, 2) == (["a"], ["b"])
    assert kept.outdated(2, 2) == ([], [])
    assert kept.outdated(1, 2) == ([], [])


def test_where_anybody_may_have_changed_those_asked_for_last_are_read_again(monkeypatch, user):
    monkeypatch.setattr(kept_module, "RENEWED_OF_ALL", 2)
    kept = KeptUsers(10)
    kept.follow(True)
    for name in "abc":
        kept.put(1, user(name, rated={}), kept.changes)
    kept.current(1, "a", with_ratings=True)
    kept.forget(1, ["b"], rated=[])
    kept.forget(1, None)
    assert kept.outdated(1, 1) == ([], ["a"])  # their ratings may have changed, too
    assert kept.outdated(1, 9) == ([], ["c"])
    assert kept.outdated(1, 9) == ([], [])
    assert kept.current(1, "a", with_ratings=False) is None
    kept.renew(1, user("a", rated={"x": 1.0}), kept.changes)
    now = kept.current(1, "a", with_ratings=True)
    assert now is not None
    assert now.rated == {"x": 1.0}
    kept.forget(2, None)  # of another model nobody is kept
    assert kept.outdated(2, 9) == ([], [])
    kept.forget(1, None)
    kept.follow(False)
    kept.follow(True)  # what changed in between was not told, nor to be followed by a rush
    assert kept.outdated(1, 9) == ([], [])


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
