"""From scores to a list: what may be in it, in which order, and what fills it up.

The chain of sources never ends before an item is found: the model, or what is folded in; what is
like the items in the context; what is like by its attributes; what is rated of late; what is
popular. A link gives those items of which it has something to say, the next one fills up.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from predictor.attributes import Condition, Mask
from predictor.items import Positions
from predictor.ranking import (
    GROUP,
    Doubles,
    Parts,
    Reasons,
    Scores,
    Source,
    best,
    by_content,
    by_context,
    by_group,
    by_model,
    by_popularity,
    by_trend,
)
from predictor.served import Served
from predictor.users import User
from recommender.diversity import maximal_marginal_relevance
from recommender.exploration import NEW_RATINGS, draw, explored_places
from recommender.rows import Floats

Strategy = Literal["model", "popular", "trending", "content", "hybrid"]

POOL = 10
"""Candidates that diversity chooses from, for each item wanted: the list stays relevant."""

MAX_POOL = 1000
"""Most candidates that diversity looks at: its cost is wanted times candidates."""

MOST_SHORTLISTED = 200
"""Places of a list up to which a short list is looked for: for long ones it would not be short."""

FUSION_CONSTANT = 60
"""Of reciprocal rank fusion; Cormack, Clarke and Buettcher (2009) found it good for any data."""

FUSED = 1000
"""Places of each list that are fused."""


class Wishes(NamedTuple):
    """What somebody wants of a list; see docs/api.md for each.

    Attributes
    ----------
    conditions : tuple of Condition
        On attributes; all must hold.
    """

    n: int = 10
    offset: int = 0
    include_rated: bool = False
    exclude: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    min_ratings: int = 0
    diversity: float = 0.0
    novelty: float = 0.0
    strategy: Strategy = "model"
    explore: float = 0.0


class Listed(NamedTuple):
    """One item of a list.

    Attributes
    ----------
    position : int
        In the item table.
    score : float
    source : str
    scores : Scores
        What it comes from, for explanations.
    novelty_cost : float
        What the wish for novelty has taken from the score.
    """

    position: int
    score: float
    source: Source
    scores: Scores
    novelty_cost: float = 0.0


def recommend(
    served: Served, people: Sequence[User], wishes: Wishes, how: GROUP = "average"
) -> list[Listed]:
    """The items to recommend to a person, or to several together.

    Parameters
    ----------
    served : Served
    people : sequence of User
        One, or a group; with ``rated``, unless rated items are included.
    wishes : Wishes
    how : {'average', 'least_misery'}
        For a group.

    Returns
    -------
    list of Listed
        Best first, at most ``wishes.n``. Where all that may be in it has been rated, that (source
        ``rated``); empty only where no item may be in it.
    """
    excluded, refused = _excluded(served, people, wishes), _refused(served, wishes)
    found = _filled(served, _chain(served, people, wishes, how), wishes, excluded, refused)
    if not found and not wishes.include_rated:
        # Nothing is left but what has been rated: better to be shown it again than nothing.
        again = wishes._replace(include_rated=True)
        excluded = _excluded(served, people, again)
        rated = _filled(served, _chain(served, people, again, how), again, excluded, refused)
        return [one._replace(source="rated") for one in rated[wishes.offset :]]
    if wishes.explore:
        found = _explore(served, people, found, excluded, refused, wishes)
    return found[wishes.offset :]


def similar(served: Served, item: str, wishes: Wishes) -> list[Listed]:
    """Items like one: by factors where it has been rated, then by attributes; nothing else."""
    asked = wishes._replace(context=(item,))
    context = _with_factors(served, [item])
    chain = [by_context(served, context)] if len(context) else []
    if content := _content(served, [], asked):
        chain.append(content)
    excluded, refused = _excluded(served, [], asked), _refused(served, asked)
    return _filled(served, chain, asked, excluded, refused)[wishes.offset :]


def ordered(served: Served, scores: Scores, wishes: Wishes) -> list[Listed]:
    """All items of one source that may be in a list."""
    excluded, refused = _excluded(served, [], wishes), _refused(served, wishes)
    return _filled(served, [scores], wishes, excluded, refused)[wishes.offset :]


def _filled(
    served: Served,
    chain: Iterable[Scores],
    wishes: Wishes,
    excluded: Positions,
    refused: Mask | None,
) -> list[Listed]:
    """The first link's items, filled up with those of the following ones."""
    wanted = wishes.offset + wishes.n
    found: list[Listed] = []
    for scores in chain:
        if _plain(scores, wishes) and not found:
            found = _shortlisted(scores, wanted, excluded, refused)
            if len(found) >= wanted:
                break
            continue
        total = scores.total
        total[excluded] = -np.inf
        if refused is not None:
            total[refused] = -np.inf
        if scores.floor > -np.inf:
            total[total <= scores.floor] = -np.inf
        if found:
            total[[one.position for one in found]] = -np.inf
        cost = _novelty_cost(served, total, wishes.novelty) if wishes.novelty else None
        if cost is not None:
            total -= cost
        chosen = _choose(served, total, wanted - len(found), wishes.diversity)
        shown = total if scores.shown is None else scores.shown
        if cost is not None and scores.shown is not None:
            shown = shown - cost
        costs = [0.0] * len(chosen) if cost is None else cost[chosen].tolist()
        found += [
            Listed(place, score, scores.source, scores, taken)
            for place, score, taken in zip(
                chosen.tolist(), shown[chosen].tolist(), costs, strict=True
            )
        ]
        if len(found) >= wanted:
            break
    return found


def _plain(scores: Scores, wishes: Wishes) -> bool:
    """Whether the list is that of the highest scores, and those can be had without the others."""
    few = wishes.offset + wishes.n <= MOST_SHORTLISTED
    return scores.shortlist is not None and few and not wishes.novelty and not wishes.diversity


def _shortlisted(
    scores: Scores, wanted: int, excluded: Positions, refused: Mask | None
) -> list[Listed]:
    """The highest scores."""
    assert scores.shortlist is not None, "see `_plain`"
    positions, total = scores.shortlist(wanted, excluded, refused)
    source = scores.source
    return [
        Listed(place, score, source, scores)
        for place, score in zip(positions.tolist(), total.tolist(), strict=True)
    ]


# --- what may be in the list -------------------------------------------------------------------


def _excluded(served: Served, people: Sequence[User], wishes: Wishes) -> Positions:
    """Positions left out one by one: withdrawn, rated, looked at, not wanted."""
    items = served.items
    left_out = [items.withdrawn]
    if wishes.exclude or wishes.context:
        left_out.append(items.positions([*wishes.exclude, *wishes.context]))
    if not wishes.include_rated:
        for person in people:
            if person.rated is None:
                raise ValueError("the user's ratings are needed to leave out rated items")
            left_out.append(person.rated_in(items).positions)
    return np.concatenate(left_out)


def _refused(served: Served, wishes: Wishes) -> Mask | None:
    """Items that do not pass the filters; None without one."""
    if not wishes.conditions and not wishes.min_ratings:
        return None
    passed = served.attributes.mask(wishes.conditions, len(served.items))
    if wishes.min_ratings:
        passed = passed & (served.items.n >= wishes.min_ratings)
    return ~passed


# --- where scores come from --------------------------------------------------------------------


def _chain(served: Served, people: Sequence[User], wishes: Wishes, how: GROUP) -> Iterator[Scores]:
    strategy = wishes.strategy
    if strategy == "hybrid":
        yield _fused(served, people, wishes, how)
    elif strategy == "model":
        context = _with_factors(served, wishes.context)
        known = [person for person in people if person.known]
        if known:
            members = [by_model(served, person, context) for person in known]
            yield members[0] if len(members) == 1 else by_group(members, how)
        elif len(context):
            yield by_context(served, context)
    if strategy in ("model", "content") and (content := _content(served, people, wishes)):
        yield content
    if strategy != "popular":
        yield by_trend(served)
    yield by_popularity(served)


def _with_factors(served: Served, items: Sequence[str]) -> Positions:
    """Positions of the items that have been rated, so have factors that mean something."""
    if not items:
        return np.zeros(0, np.intp)
    positions = served.items.positions(items)
    return positions[served.items.n[positions] > 0]


def _content(served: Served, people: Sequence[User], wishes: Wishes) -> Scores | None:
    """By attributes of the context, or else of what the people have rated."""
    items = served.items
    context = items.positions(wishes.context)
    if len(context):
        liked, wanted = context, np.ones(len(context), np.float32)
        rated: list[float | None] = [None] * len(context)
    else:
        ratings = [
            (items.position(item), rating)
            for person in people
            for item, rating in (person.rated or {}).items()
            if item in items
        ]
        liked = np.array([place for place, _ in ratings], np.intp)
        rated = [rating for _, rating in ratings]
        # What is rated above the middle of the scale draws, what is below it repels.
        middle = (served.rating_min + served.rating_max) / 2
        wanted = np.array([rating - middle for _, rating in ratings], np.float32)
    vectors = served.content.vectors(len(items))
    if not len(liked) or not vectors.shape[1] or not (wanted @ vectors[liked]).any():
        return None
    return by_content(served, liked, wanted, rated)


def _fused(served: Served, people: Sequence[User], wishes: Wishes, how: GROUP) -> Scores:
    """Reciprocal rank fusion of the model's list, that by attributes, and what is trending."""
    excluded = _excluded(served, people, wishes)
    refused = _refused(served, wishes)
    total = np.zeros(len(served.items), np.float32)
    added: dict[str, Doubles] = {}
    for strategy in ("model", "content", "trending"):
        scores = next(_chain(served, people, wishes._replace(strategy=strategy), how))
        if scores.source in added:
            continue
        values = scores.total
        if refused is not None:
            values[refused] = -np.inf
        values[values <= scores.floor] = -np.inf
        order = best(values, FUSED, excluded)
        share = np.zeros(len(total))
        share[order] = 1 / (FUSION_CONSTANT + 1 + np.arange(len(order)))
        added[scores.source] = share
        total += share.astype(np.float32)

    def parts(positions: Positions) -> Parts:
        return {source: share[positions] for source, share in added.items()}

    return Scores("hybrid", lambda: total, floor=0.0, parts=parts)


# --- the order -----------------------------------------------------------------------------------


def popularity_scale(served: Served) -> Floats:
    """From 0 for items without a rating to 1 for the most rated, by the logarithm."""
    heard: Floats = np.log1p(served.items.n.astype(np.float32))
    return heard / np.float32(max(heard.max(initial=0), 1e-9))


def _novelty_cost(served: Served, total: Floats, novelty: float) -> Floats:
    """What novelty takes from each score: popularity, in parts of the candidates' range of scores.

    At 1 the most rated item loses the whole range.
    """
    candidates = total[total > -np.inf]
    span = np.float32(np.ptp(candidates) if len(candidates) else 0)
    return np.float32(novelty) * span * popularity_scale(served)


def _choose(served: Served, total: Floats, n: int, diversity: float) -> Positions:
    if not diversity:
        return best(total, n)
    pool = best(total, max(n, min(POOL * n, MAX_POOL)))
    order = maximal_marginal_relevance(total[pool], likeness_vectors(served)[pool], n, diversity)
    return pool[order]


def likeness_vectors(served: Served) -> Floats:
    """What the likeness of items is taken from: the factors that rank, else attributes."""
    if served.form.ranking_rank:
        return served.items.ranking
    return served.items.factors if served.form.rank else served.content.vectors(len(served.items))


def _explore(
    served: Served,
    people: Sequence[User],
    found: list[Listed],
    excluded: Positions,
    refused: Mask | None,
    wishes: Wishes,
) -> list[Listed]:
    """Give some places of the list to new items."""
    wanted = wishes.offset + wishes.n
    places = explored_places(wanted, wishes.explore)
    new = served.items.n < NEW_RATINGS
    new[excluded] = False
    if refused is not None:
        new &= ~refused
    candidates = np.flatnonzero(new)
    if not places or not len(candidates):
        return found
    content = _content(served, people, wishes)
    values = content.total[candidates] if content else np.zeros(len(candidates), np.float32)
    seed = zlib.crc32("\n".join(p.user for p in people).encode()) + served.as_of.batch
    drawn = candidates[draw(values, len(places), seed)].tolist()
    taken = set(drawn)
    scores = content or by_trend(served)
    kept = iter([one for one in found if one.position not in taken])
    mixed: list[Listed] = []
    explored = iter(drawn)
    for place in range(wanted):
        position = next(explored, None) if place in set(places) else None
        if position is None:
            following = next(kept, None)
            if following is None:
                break
            mixed.append(following)
        else:
            value = float(content.total[position]) if content else 0.0
            mixed.append(Listed(position, value, "exploration", scores))
    return mixed


def explained(listed: Sequence[Listed]) -> Iterator[tuple[Listed, Parts, list[Reasons]]]:
    """Each item with the parts of its score and the reasons for them.

    The arrays hold one item: computed for all items of one source together.
    """
    by_scores: dict[int, list[int]] = {}
    for place, one in enumerate(listed):
        by_scores.setdefault(id(one.scores), []).append(place)
    found: dict[int, tuple[Parts, list[Reasons]]] = {}
    for places in by_scores.values():
        scores = listed[places[0]].scores
        positions = np.array([listed[place].position for place in places], np.intp)
        parts, reasons = scores.parts(positions), scores.reasons(positions)
        for row, place in enumerate(places):
            own = {name: values[row : row + 1] for name, values in parts.items()}
            if taken := listed[place].novelty_cost:
                own["novelty"] = np.array([-taken])
            why = [replace(reason, added=reason.added[row : row + 1]) for reason in reasons]
            found[place] = (own, why)
    for place, listed_item in enumerate(listed):
        yield listed_item, *found[place]
