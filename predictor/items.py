"""The item side of a model in memory: ids to positions, and arrays that grow."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from predictor.id_index import IdIndex
from predictor.shortlist import FEWEST_ITEMS, OrderedItems
from predictor.text_table import TextTable, capacity, grown, strings, taken
from recommender.ranking import blend_with_popularity, popularity_share
from recommender.rows import Counts, Floats, RowFormat, Rows

Positions = npt.NDArray[np.intp]

FIRST_CAPACITY = 1024

PART = 4096
"""Vectors worked on at a time: 2 MB at rank 64 in double precision."""


@dataclass
class _Marks:
    """What is kept of each item beside its row.

    Attributes
    ----------
    lengths : (capacity,) float32
        Of its vector in the head that ranks.
    guessed : (capacity,) bool
        Whether its row is predicted from attributes.
    """

    lengths: Floats
    guessed: npt.NDArray[np.bool_]

    @staticmethod
    def empty(capacity: int) -> _Marks:
        """For so many items, of which nothing is known."""
        return _Marks(np.zeros(capacity, np.float32), np.zeros(capacity, np.bool_))


class ItemTable:
    """All items that can be recommended; those of the catalogue without a rating have count 0.

    Written and read on one event loop, so a reader that does not await sees no half-done change.
    An item keeps its position. The arrays double when they are full, so n items cost O(n) copies.

    Parameters
    ----------
    form : RowFormat
        The model's ranks.

    Attributes
    ----------
    ids : sequence of str
    ordered : OrderedItems or None
        The same as far as they have been put in order, for a quick search; see `in_order`.

    Examples
    --------
    >>> items = ItemTable(RowFormat(rank=2, ranking_rank=0))
    >>> items.add(["a", "b"]).tolist()
    [0, 1]
    >>> len(items), items.positions(["b", "unknown"]).tolist()
    (2, [1])
    """

    def __init__(self, form: RowFormat) -> None:
        self.ids: TextTable[str] = TextTable()
        self._index = IdIndex(self.ids)
        self._rows = Rows.empty(FIRST_CAPACITY, form)
        self.ordered: OrderedItems | None = None
        self._marks = _Marks.empty(FIRST_CAPACITY)
        self._withdrawn = np.zeros(0, np.intp)
        self._sorted = np.zeros(0, np.int32)
        self._popularity: Floats | None = None
        self._most_rated: int | None = None
        # Kept up by what changes; in double precision, so that nothing adds up over the years.
        self._gram = np.zeros((form.ranking_rank, form.ranking_rank), np.float64)
        self._gram_now: Floats | None = None
        self._n_rated = 0

    @classmethod
    def of(cls, items: Iterable[str] | pa.Array, rows: Rows) -> ItemTable:
        """A table of distinct items and their rows, which become its own."""
        table = cls(rows.format)
        table.ids.extend(_strings(items))
        table._index.extend()
        table._rows = rows
        table._marks = _Marks.empty(len(rows))
        places = np.arange(len(rows))
        table._count(places, 1)
        table._measure(places)
        return table

    def __getstate__(self) -> dict[str, Any]:
        """All but what is worked out from the rest when it is asked for."""
        return {
            **vars(self),
            "_popularity": None,
            "_gram_now": None,
            "_sorted": np.zeros(0, np.int32),
        }

    @property
    def holders(self) -> list[object]:
        """The objects that have its large arrays."""
        found: list[object] = [self._rows, self._marks, self.ids, self._index]
        return found if self.ordered is None else [*found, *self.ordered.holders]

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, item: str) -> bool:
        return self._index.find_one(item) is not None

    def position(self, item: str) -> int | None:
        """Where an item is, or None where it is not known."""
        return self._index.find_one(item)

    def rated(self, item: str) -> bool:
        """Whether an item is known and has ratings."""
        position = self._index.find_one(item)
        return position is not None and bool(self._rows.n[position] > 0)

    def positions(self, items: Iterable[str] | pa.Array) -> Positions:
        """Where the items are; unknown ones are left out."""
        found = self.places(items)
        return found[found >= 0]

    def places(self, items: Iterable[str] | pa.Array) -> Positions:
        """Where the items are, -1 for unknown ones."""
        return self._index.find(_strings(items))

    @property
    def n(self) -> Counts:
        """Ratings learned for each item, ``(n_items,)``; a view, like all that follow."""
        return self._rows.n[: len(self.ids)]

    @property
    def bias(self) -> Floats:
        """b_y, ``(n_items,)``."""
        return self._rows.bias[: len(self.ids)]

    @property
    def factors(self) -> Floats:
        """P_y, ``(n_items, rank)``."""
        return self._rows.factors[: len(self.ids)]

    @property
    def ranking(self) -> Floats:
        """Q_y, ``(n_items, ranking_rank)``."""
        return self._rows.ranking[: len(self.ids)]

    @property
    def lengths(self) -> Floats:
        """Length of each item's vector in the head that ranks, ``(n_items,)``."""
        return self._marks.lengths[: len(self.ids)]

    @property
    def guessed(self) -> npt.NDArray[np.bool_]:
        """Items without a rating whose rows are predicted from attributes, ``(n_items,)``."""
        return self._marks.guessed[: len(self.ids)]

    def rows(self, positions: Positions) -> Rows:
        """A copy of some rows."""
        return self._rows.take(positions)

    @property
    def withdrawn(self) -> Positions:
        """Items that the catalogue says are not available: never to be recommended."""
        return self._withdrawn

    def withdraw(self, positions: Positions, withdrawn: bool) -> None:
        """Make items unavailable, or available again."""
        change = np.union1d if withdrawn else np.setdiff1d
        self._withdrawn = change(self._withdrawn, positions)

    def page(self, after: str, n: int) -> list[str]:
        """The `n` ids that follow an id in order; put in order when it is asked for first."""
        first = len(self._sorted)
        if not first:
            ids = self.ids[:]
            self._sorted = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int32)
        elif first < len(self.ids):
            new = sorted(range(first, len(self.ids)), key=self.ids.__getitem__)
            places = [self._after(self.ids[position]) for position in new]
            self._sorted = np.insert(self._sorted, places, new)
        start = self._after(after)
        return [self.ids[place] for place in self._sorted[start : start + n].tolist()]

    def _after(self, item: str) -> int:
        """Place behind an id among those in order."""
        return bisect_right(self._sorted, item, key=lambda place: self.ids[place])

    @property
    def popularity(self) -> Floats:
        """What popularity adds when items are ranked, ``(n_items,)``.

        With a ranking head `popularity_share`, to be weighted for each user; without one what is
        added to a predicted rating. Computed once after each change: a logarithm an item is dearer
        than the product of factors.
        """
        if self._popularity is None:
            if self._rows.format.ranking_rank:
                self._popularity = popularity_share(self.n)
            else:
                self._popularity = blend_with_popularity(np.zeros(len(self), np.float32), self.n)
        return self._popularity

    def popularity_weight(self, weight: float) -> float:
        """What the counts that `ordered` has are multiplied by, for a weight of `popularity`."""
        if not self._rows.format.ranking_rank:
            return weight
        if self._most_rated is None:
            self._most_rated = int(self.n.max(initial=0))
        return weight / max(self._most_rated, 1)

    def _popular(self, n: Counts) -> Floats:
        """`popularity` of items with so many ratings, but for `popularity_weight`."""
        if self._rows.format.ranking_rank:
            return n.astype(np.float32)
        return blend_with_popularity(np.zeros(len(n), np.float32), n)

    @property
    def out_of_order(self) -> bool:
        """Whether it is worth while to put the items in order."""
        if self.ordered is None:
            return len(self) >= FEWEST_ITEMS
        return self.ordered.due(len(self))

    def in_order(self, bias_weight: float) -> OrderedItems:
        """The items put in order, to become `ordered`; in another thread, too, while none is put.

        A second for a million items.

        Parameters
        ----------
        bias_weight : float
            What a person's score has of an item's bias.
        """
        return self.to_order(bias_weight)()

    def to_order(self, bias_weight: float) -> Callable[[], OrderedItems]:
        """What puts in order the items that there are now; meanwhile further ones may be added."""
        return partial(OrderedItems, self._rows, self._popular(self.n), self.lengths, bias_weight)

    @property
    def gram(self) -> Floats:
        """``Σ Q Qᵀ`` over the items that have been rated, ``(ranking_rank, ranking_rank)``."""
        if self._gram_now is None:
            self._gram_now = self._gram.astype(np.float32)
        return self._gram_now

    @property
    def n_rated(self) -> int:
        """Items that have been rated."""
        return self._n_rated

    def add(self, items: Iterable[str] | pa.Array) -> Positions:
        """Take up items that are not known yet, without a rating; gives the positions of all."""
        named = _strings(items)
        places = self._index.find(named)
        unknown = np.flatnonzero(places < 0)
        if len(unknown):
            new = taken(named, unknown)
            self.ids.extend(pc.unique(new))  # one may come twice
            self._index.extend()
            places[unknown] = self._index.find(new)
            if len(self.ids) > len(self._rows):
                self._rows = self._rows.grown(capacity(len(self._rows), len(self.ids)))
                self._marks = _Marks(
                    grown(self._marks.lengths, len(self.ids)),
                    grown(self._marks.guessed, len(self.ids)),
                )
            self._popularity = None
        return places

    def put(self, items: Sequence[str], rows: Rows) -> None:
        """Set the rows of items, in their order; the last one holds where an item comes twice."""
        self.put_at(self.add(items), rows)

    def put_at(self, where: Positions, rows: Rows) -> None:
        """Set the rows at some positions."""
        places = np.unique(where)
        self._count(places, -1)
        self._rows.put(where, rows)
        self._count(places, 1)
        self._measure(places)
        if self.ordered is not None:
            popular = self._popular(self._rows.n[places])
            self.ordered.put(places, self._rows, popular, self._marks.lengths[places])
        self._marks.guessed[places] = False
        self._popularity = self._most_rated = None

    def guess(self, where: Positions, rows: Rows) -> None:
        """Set rows predicted from attributes, of items that have no rating."""
        self.put_at(where, rows)
        self._marks.guessed[where] = True

    def _count(self, places: Positions, sign: int) -> None:
        """Put rows into the sums over rated items, or take them out."""
        self._gram_now = None
        rated = places[self._rows.n[places] > 0]
        for some in _parts(rated):
            vectors = self._rows.ranking[some].astype(np.float64)
            self._gram += sign * (vectors.T @ vectors)
        self._n_rated += sign * len(rated)

    def _measure(self, places: Positions) -> None:
        """Keep the lengths of some vectors."""
        vectors = self._rows.ranking if self._rows.format.ranking_rank else self._rows.factors
        for some in _parts(places):
            self._marks.lengths[some] = np.linalg.norm(vectors[some], axis=1)


def _parts(places: Positions) -> Iterator[Positions]:
    """Few enough at a time that what is worked out of their vectors fits into a cache."""
    for start in range(0, len(places), PART):
        yield places[start : start + PART]


def _strings(items: Iterable[str] | pa.Array) -> pa.Array:
    return items if isinstance(items, pa.Array) else strings(items)
