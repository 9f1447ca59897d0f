"""A score for every item: how the model ranks, what is like something, what others rate.

Each way of scoring is a `Scores`: a number for every item, and what it is made of. Which items
come into the list, and in which order, is decided in `predictor.listing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from predictor.answers import RecommendationSource
from predictor.attributes import Mask
from predictor.exact import Weighed, best_of, highest_product
from predictor.items import Positions
from predictor.prediction import predicted_everywhere
from predictor.served import Served
from predictor.shortlist import OrderedItems, Search
from predictor.users import User
from recommender.diversity import normalized
from recommender.fold_in import contributions, fold_in_at
from recommender.ranking import blend_with_head, newcomer_weight, rating_weight
from recommender.rows import Floats

Source = RecommendationSource | Literal["latest"]

Doubles = npt.NDArray[np.float64]
Parts = Mapping[str, Doubles]

CONTEXT_WEIGHT = 2.0
"""Of the likeness to the item that somebody looks at, beside the ranking head's 1: it leads."""

GROUP = Literal["average", "least_misery"]

FEW = 50
"""Where a filter lets pass one item in so many, those are looked at one by one: a search would have
to go through nearly all items to find enough of them."""

_NO_VECTOR = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Reasons:
    """What each of a person's ratings, or each item of the context, adds to some items' scores.

    Attributes
    ----------
    part : str
        Name of the part of the score that these add up to.
    items : list of str
        The items rated, or looked at.
    ratings : list of (float or None)
        The person's rating of each; None for the context.
    added : (m, len(items)) float64
    """

    part: str
    items: list[str]
    ratings: list[float | None]
    added: Doubles


@dataclass  # not frozen: that would make it four times as dear, for each request
class Scores:
    """A score for every item.

    Attributes
    ----------
    source : str
        What they come from.
    compute : callable
        Gives the scores.
    shown : (n_items,) float32, optional
        What is shown as the score instead, where the total also holds what decides among equals.
    floor : float
        Items with scores up to this are none of this source's: it has nothing to say of them.
    parts : callable
        What the scores of the items at some positions add up from.
    reasons : callable
        Whose ratings or items the scores at some positions come from.
    shortlist : callable, optional
        Gives the positions of the `n` best, best first, of those that are neither excluded by
        position nor refused by a mask, and their scores; the same as from all of them, sooner.
    """

    source: Source
    compute: Callable[[], Floats]
    shown: Floats | None = None
    floor: float = -np.inf
    parts: Callable[[Positions], Parts] = lambda _: {}
    reasons: Callable[[Positions], list[Reasons]] = field(default=lambda _: [])
    shortlist: Callable[[int, Positions, Mask | None], tuple[Positions, Floats]] | None = None

    @cached_property
    def total(self) -> Floats:
        """``(n_items,)``; may be changed by whoever asked for the scores."""
        return self.compute()


def by_model(served: Served, user: User, context: Positions) -> Scores:
    """The model's score for one person whom it knows, or who has ratings to be folded in.

    With a ranking head V_x · Q_y, predicted rating and, for newcomers, popularity, V_x folded in
    from the person's own ratings; without one, predicted rating and popularity
    (`recommender.ranking`). With a context, its likeness as well.
    """
    items = served.items
    folding = Folding(served, user) if served.form.ranking_rank else None
    near = by_context(served, context) if len(context) else None

    def total() -> Floats:
        predicted = predicted_everywhere(served, user)
        if folding is not None:
            head = items.ranking @ folding.vector
            found = _blend(served, user, head, predicted, items.popularity, head.max(initial=0))
        else:
            found = predicted
            found += items.popularity
        if near is not None:
            found += CONTEXT_WEIGHT * near.total
        return found

    ordered = items.ordered if near is None else None

    def shortlist(n: int, excluded: Positions, refused: Mask | None) -> tuple[Positions, Floats]:
        assert ordered is not None
        return _shortlist(served, ordered, user, folding, n, excluded, refused)

    def parts(positions: Positions) -> Parts:
        factors = items.factors[positions].astype(np.float64) @ user.factors.astype(np.float64)
        predicted = served.mean + user.bias + items.bias[positions].astype(np.float64) + factors
        popularity = items.popularity[positions].astype(np.float64)
        if folding is None:
            found = {"prediction": predicted, "popularity": popularity}
        else:
            found = {
                "taste": folding.scores(positions) / folding.highest
                if folding.highest > 0
                else 0 * factors,
                "prediction": rating_weight(served.rating_min, served.rating_max) * predicted,
                "popularity": float(newcomer_weight(user.n)) * popularity,
            }
        if near is not None:
            found["context"] = CONTEXT_WEIGHT * near.parts(positions)["context"]
        return found

    def reasons(positions: Positions) -> list[Reasons]:
        found = []
        if folding is not None and folding.highest > 0 and (names := folding.items):
            given = user.rated or {}
            ratings: list[float | None] = [given[item] for item in names]
            added = folding.contributions(positions) / folding.highest
            found.append(Reasons("taste", names, ratings, added))
        if near is not None:
            for reason in near.reasons(positions):
                added = CONTEXT_WEIGHT * reason.added
                found.append(Reasons(reason.part, reason.items, reason.ratings, added))
        return found

    source: Source = "model" if user.has_row else "fold-in"
    return Scores(
        source,
        total,
        parts=parts,
        reasons=reasons,
        shortlist=None if ordered is None else shortlist,
    )


def _blend(
    served: Served, user: User, head: Floats, predicted: Floats, share: Floats, highest: float
) -> Floats:
    scale = served.rating_min, served.rating_max
    return blend_with_head(head, predicted, share, user.n, *scale, highest=highest)


def _shortlist(
    served: Served,
    ordered: OrderedItems,
    user: User,
    folding: Folding | None,
    n: int,
    excluded: Positions,
    refused: Mask | None,
) -> tuple[Positions, Floats]:
    """The `n` best by the model, and their scores; see `predictor.shortlist`."""
    items = served.items
    base = served.mean + user.bias
    weight = served.bias_weight
    if folding is None:
        search, scale, share = ordered.search(_NO_VECTOR), 0.0, 1.0
    else:
        search = folding.search(ordered)
        scale = 1 / max(folding.highest, 1e-9) if folding.highest > 0 else 0.0
        share = float(newcomer_weight(user.n))
    if refused is not None and np.count_nonzero(refused) * FEW >= len(items) * (FEW - 1):
        chosen, first = np.setdiff1d(np.flatnonzero(~refused), excluded), len(items)
    else:
        chosen, first = (
            search.best(
                scale,
                user.factors * np.float32(weight),
                weight,
                items.popularity_weight(share),
                weight * base,
                n,
                excluded,
                refused,
            ),
            ordered.length,
        )
    person = Weighed(
        _NO_VECTOR if folding is None else folding.vector, user.factors, scale, weight, base, share
    )
    return best_of(
        person,
        items.ranking,
        items.factors,
        items.bias,
        items.popularity,
        chosen,
        first,
        excluded,
        refused,
        n,
    )


class Folding:
    """A person's ranking vector, and the ratings that it is solved from.

    Better than the streamed vector, and takes in what other people's ratings have since taught of
    the items; the streamed one serves where no store gives the ratings.
    """

    def __init__(self, served: Served, user: User) -> None:
        self._items = served.items
        rated = user.rated_in(served.items)
        self._places = rated.positions
        if len(self._places):
            self._weights = rated.weights(served.rating_min, served.rating_max)
            items = self._items
            self.vector = fold_in_at(
                items.ranking, self._places, self._weights, items.gram, items.n_rated
            )
        else:
            self.vector = user.ranking
        self._search: tuple[OrderedItems, Search] | None = None

    def search(self, ordered: OrderedItems) -> Search:
        """The search for this person's items; the same one again, as it keeps what it has found."""
        if self._search is None or self._search[0] is not ordered:
            self._search = ordered, ordered.search(self.vector)
        return self._search[1]

    @cached_property
    def highest(self) -> float:
        """The highest V · Q of all items; 0 where none is above it."""
        vectors, ordered = self._items.ranking, self._items.ordered
        if ordered is None:
            return float((vectors @ self.vector).max(initial=0))
        among = self.search(ordered).longest_product()
        return highest_product(vectors, self.vector, among, ordered.length)

    @property
    def items(self) -> list[str]:
        """The rated items that the model knows."""
        return [self._items.ids[place] for place in self._places.tolist()]

    def scores(self, positions: Positions) -> Doubles:
        """V · Q in double precision; the sum of the contributions where there are any."""
        if len(self._places):
            summed: Doubles = self.contributions(positions).sum(axis=1)
            return summed
        found: Doubles = self._items.ranking[positions].astype(np.float64) @ self.vector
        return found

    def contributions(self, positions: Positions) -> Doubles:
        """What each rating adds, ``(m, n_rated)``."""
        items = self._items
        added: Doubles = contributions(
            items.ranking[positions],
            items.ranking[self._places],
            self._weights,
            items.gram,
            items.n_rated,
        )
        return added


def by_group(members: Sequence[Scores], how: GROUP) -> Scores:
    """One list for several people: what they like on average, or what the least pleased likes most.

    Masthoff (2011), "Group recommender systems": average, and least misery.
    """
    every = np.stack([member.total for member in members])
    sources = {member.source for member in members}
    source: Source = "model" if "model" in sources else members[0].source

    def average(positions: Positions) -> Parts:
        parts = [member.parts(positions) for member in members]
        names = list(dict.fromkeys(name for part in parts for name in part))
        nothing = np.zeros(len(positions))
        return {
            name: np.sum([part.get(name, nothing) for part in parts], axis=0) / len(members)
            for name in names
        }

    def misery(positions: Positions) -> Parts:
        parts = [member.parts(positions) for member in members]
        names = list(dict.fromkeys(name for part in parts for name in part))
        least = every[:, positions].argmin(axis=0)
        nothing = np.zeros(len(positions))
        return {
            name: np.choose(least, [part.get(name, nothing) for part in parts]) for name in names
        }

    if how == "average":
        return Scores(source, lambda: every.mean(axis=0), parts=average)
    return Scores(source, lambda: every.min(axis=0), parts=misery)


def by_context(served: Served, context: Positions) -> Scores:
    """Likeness to items that somebody looks at: the mean cosine of ranking factors.

    Without a ranking head, of the rating head's factors.
    """
    items = served.items
    vectors = items.ranking if served.form.ranking_rank else items.factors
    chosen = normalized(vectors[context])
    # (x / |x|) · mean c: one product over all items, and their lengths once
    total = (vectors @ chosen.mean(axis=0)) / np.maximum(items.lengths, np.float32(1e-12))

    def cosines(positions: Positions) -> Doubles:
        found: Doubles = normalized(vectors[positions]).astype(np.float64) @ chosen.T
        return found

    def parts(positions: Positions) -> Parts:
        return {"context": cosines(positions).mean(axis=1)}

    def reasons(positions: Positions) -> list[Reasons]:
        names = [items.ids[place] for place in context]
        added = cosines(positions) / len(context)
        return [Reasons("context", names, [None] * len(names), added)]

    return Scores("similar", lambda: total, floor=0.0, parts=parts, reasons=reasons)


def by_content(
    served: Served, liked: Positions, wanted: Floats, rated: Sequence[float | None]
) -> Scores:
    """Likeness by genres and year to what somebody likes or looks at.

    The cosine of an item's attributes with the weighted sum of those of the liked items.

    Parameters
    ----------
    served : Served
    liked : (n,) intp
    wanted : (n,) float32
        Weight of each; negative for what is disliked.
    rated : sequence of (float or None)
        Rating of each, for the reasons.
    """
    vectors = served.content.vectors(len(served.items))
    direction = wanted @ vectors[liked]
    length = max(float(np.linalg.norm(direction)), 1e-12)
    total = vectors @ (direction / np.float32(length))

    def added(positions: Positions) -> Doubles:
        chosen = (vectors[liked] * wanted[:, None]).astype(np.float64)
        found: Doubles = vectors[positions].astype(np.float64) @ chosen.T / length
        return found

    def parts(positions: Positions) -> Parts:
        return {"content": added(positions).sum(axis=1)}

    def reasons(positions: Positions) -> list[Reasons]:
        names = [served.items.ids[place] for place in liked]
        return [Reasons("content", names, list(rated), added(positions))]

    return Scores("content", lambda: total, floor=1e-6, parts=parts, reasons=reasons)


def by_trend(served: Served) -> Scores:
    """What is rated most of late (`predictor.trending`)."""
    recent = served.recent

    def parts(positions: Positions) -> Parts:
        return {"trending": recent[positions].astype(np.float64)}

    return Scores("trending", recent.copy, floor=1e-3, parts=parts)


def by_popularity(served: Served) -> Scores:
    """The number of ratings and, among equals, the item's bias."""
    items = served.items
    popular = items.n.astype(np.float32)
    # A bias is far smaller than 100 ratings' units; squeezed below 1/2 it only orders equals.
    popular += np.arctan(items.bias) / np.float32(np.pi)

    def parts(positions: Positions) -> Parts:
        return {"ratings": items.n[positions].astype(np.float64)}

    return Scores("popular", lambda: popular, items.n.astype(np.float32), parts=parts)


def by_attribute(served: Served, name: str) -> Scores:
    """The highest number of an attribute, or the latest date; others have nothing to do with it.

    A date's score is its place from behind, since a score is a number.
    """
    found = served.attributes.ordered(name)
    dates = [] if found else served.attributes.ordered(name, "text")
    total = np.full(len(served.items), -np.inf, np.float32)
    for place, (value, position) in enumerate(found or dates):
        number = value if isinstance(value, float) else float(len(dates) - place)
        total[position] = max(total[position], number)
    return Scores("latest", lambda: total)


SORTED = 1000
"""So many scores are sorted sooner than the best of them are parted from the others."""


def best(scores: Floats, n: int, excluded: Positions | None = None) -> Positions:
    """Positions of the `n` highest scores, best first; equals in the order of their positions.

    Parameters
    ----------
    scores : (n_items,) float32
        Changed: the excluded ones become −∞. What is −∞ already is never chosen.
    n : int
    excluded : (m,) intp, optional
        Positions that must not be among them.
    """
    if excluded is not None and len(excluded):
        scores[excluded] = -np.inf
    n = min(n, len(scores))
    if n <= 0:
        return np.empty(0, dtype=np.intp)
    if n < len(scores) and len(scores) > SORTED:
        # The n-th highest score bounds the candidates; all its equals are among them, so which of
        # them are taken does not depend on how the partition happened to fall.
        bound = np.partition(scores, len(scores) - n)[len(scores) - n]
        candidates = np.flatnonzero(scores >= bound)
    else:
        candidates = np.arange(len(scores))
    order = np.argsort(-scores[candidates], kind="stable")[:n]
    chosen: Positions = candidates[order]
    return chosen[scores[chosen] > -np.inf]
