"""Why an item is in a list: the parts add up to the score, the ratings' shares to their part."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.explaining import recommended
from predictor.listing import Wishes, recommend
from predictor.people import somebody


def explained(served, people, **options):
    return recommended(served, recommend(served, people, Wishes(**options)), explain=True)


@pytest.mark.parametrize(
    "options",
    [{}, {"context": ("c",)}, {"novelty": 0.5}, {"strategy": "hybrid"}, {"strategy": "popular"}],
)
def test_parts_and_reasons_add_up(served_with_ranking, user, options):
    alice = user("alice", rated={"a": 5.0, "c": 1.0})
    plain = recommend(served_with_ranking, [alice], Wishes(include_rated=True, **options))
    items = explained(served_with_ranking, [alice], include_rated=True, **options)
    assert [item["item"] for item in items] == [
        served_with_ranking.items.ids[one.position] for one in plain
    ]
    for item, one in zip(items, plain, strict=True):
        found = item["explanation"]
        assert sum(found["parts"].values()) == item["score"]
        assert item["score"] == pytest.approx(one.score, abs=1e-5)
        if "taste" in found["parts"]:
            named = [why for why in found["why"] if why["part"] == "taste"]
            if "context" not in found["parts"]:
                total = sum(why["contribution"] for why in named) + found["others"]["contribution"]
                assert total == pytest.approx(found["parts"]["taste"], abs=1e-9)
            for why in named:
                share = why["contribution"] / found["parts"]["taste"]
                assert why["share"] == pytest.approx(share)
                assert why["rating"] == alice.rated[why["item"]]
                assert why["contribution"] > 0


def test_the_highest_contribution_comes_first(served_with_ranking):
    person = somebody(served_with_ranking, {"a": 5.0, "b": 5.0})
    items = {item["item"]: item for item in explained(served_with_ranking, [person])}
    # c's vector (½, ½) has as much of a's (0, 1) as of b's (1, 0), but c itself, unrated, pulls
    # both down alike
    why = items["c"]["explanation"]["why"]
    assert {one["item"] for one in why} == {"a", "b"}
    assert why[0]["contribution"] == pytest.approx(why[1]["contribution"], rel=1e-3)
    assert why[0]["title"] in ("Alien (1979)", None)


def test_the_context_says_so(served, user):
    items = explained(served, [user("nobody")], context=("c",))
    alike = [item for item in items if item["source"] == "similar"]
    vectors = served.items.factors
    c = vectors[served.items.position("c")]
    for item in alike:
        own = vectors[served.items.position(item["item"])]
        cosine = own @ c / np.linalg.norm(own) / np.linalg.norm(c)
        assert item["explanation"]["parts"] == pytest.approx({"context": cosine}, abs=1e-6)
        (why,) = item["explanation"]["why"]
        assert (why["item"], why["rating"]) == ("c", None)
        assert why["share"] == pytest.approx(1)
