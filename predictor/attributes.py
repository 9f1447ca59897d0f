"""Filters on what the catalogue says: which items have an attribute, or one within a range."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from recommender.errors import InvalidInput

Mask = npt.NDArray[np.bool_]
Value = str | float

MAX_TEXT = 128
"""Characters of a value that can be filtered by: a description is no filter."""

KEPT_MASKS = 32
"""Masks kept for the next request: pages ask with few filters, over and over. A byte an item."""

KNOWN_NOT_ASKED = "available"
"""Withdrawn items are left out anyway."""


@dataclass(frozen=True)
class Condition:
    """One condition on one attribute.

    Attributes
    ----------
    name : str
    values : tuple of str or number
        Any of which the attribute must have (or hold, where it is a list); empty: see the range.
    low, high : float
        Bounds of a number, both included.

    Examples
    --------
    >>> Condition.parse("language:fr"), Condition.parse("minutes:90..").low
    (Condition(name='language', values=('fr',), low=-inf, high=inf), 90.0)
    """

    name: str
    values: tuple[Value, ...] = ()
    low: float = -np.inf
    high: float = np.inf

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read ``name:value``, or ``name:low..high`` with either bound left out.

        Raises
        ------
        InvalidInput
            If it is neither. What only looks like a range, without numbers, is a value.
        """
        name, colon, value = text.partition(":")
        if not (name and colon and value):
            raise InvalidInput("where", text, "name:value, or name:low..high for numbers")
        low, dots, high = value.partition("..")
        if not dots:
            return cls(name, (value,))
        try:
            bounds = float(low or "-inf"), float(high or "inf")
        except ValueError:
            return cls(name, (value,))
        return cls(name, (), *bounds)


class AttributeIndex:
    """Positions of items by attribute and value.

    A list's elements count one by one; what is nested deeper cannot be asked for. Numbers are found
    by their text, too: ``year:1994`` means the number.

    Examples
    --------
    >>> index = AttributeIndex()
    >>> index.put(0, {}, {"genres": ["Crime", "Drama"], "year": 1994})
    >>> index.put(1, {}, {"genres": ["Comedy"], "year": 2001})
    >>> index.mask((Condition("genres", ("Drama", "War")),), 2).tolist()
    [True, False]
    >>> index.mask((Condition.parse("year:2000..2010"),), 2).tolist()
    [False, True]
    """

    def __init__(self) -> None:
        # Four bytes a position, where a list has eight and an object.
        self._postings: dict[str, dict[Value, array[int]]] = {}
        self._masks: OrderedDict[tuple[object, ...], Mask] = OrderedDict()
        self.changes = 0
        """Times that it has changed."""

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_masks": OrderedDict()}

    def put(self, position: int, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Replace an item's attributes.

        Parameters
        ----------
        position : int
            Where the item is in the item table.
        before, after : mapping
            Its attributes until now, and from now on.
        """
        if before == after:
            return
        self._masks.clear()
        self.changes += 1
        for name, value in _values(before):
            self._postings[name][value].remove(position)
        for name, value in _values(after):
            self._postings.setdefault(name, {}).setdefault(value, array("i")).append(position)

    def names(self) -> list[str]:
        """Attributes that some item has."""
        return sorted(self._postings)

    def mask(self, conditions: Sequence[Condition], n_items: int) -> Mask:
        """Which items fulfil all conditions, ``(n_items,)``."""
        key = (n_items, *conditions)
        found = self._masks.get(key)
        if found is None:
            found = np.ones(n_items, np.bool_)
            for condition in conditions:
                found &= self._one(condition, n_items)
            self._masks[key] = found
            if len(self._masks) > KEPT_MASKS:
                self._masks.popitem(last=False)
        else:
            self._masks.move_to_end(key)
        return found

    def ordered(
        self, name: str, kind: Literal["number", "text"] = "number"
    ) -> list[tuple[Value, int]]:
        """Values of an attribute and the positions of the items that have them, highest first.

        Parameters
        ----------
        name : str
        kind : {'number', 'text'}
            Values of the other kind are passed over; dates as ISO 8601 are in order as text.
        """
        wanted = str if kind == "text" else float
        postings = self._postings.get(name, {})
        values = [value for value in postings if postings[value] and isinstance(value, wanted)]
        ordered = sorted(values, reverse=True)
        return [(value, place) for value in ordered for place in sorted(postings[value])]

    def _one(self, condition: Condition, n_items: int) -> Mask:
        mask = np.zeros(n_items, np.bool_)
        postings = self._postings.get(condition.name, {})
        if condition.values:
            for value in condition.values:
                for one in {value, _number(value)}:
                    if one is not None and one in postings:
                        mask[np.asarray(postings[one])] = True
            return mask
        for value, positions in postings.items():
            if isinstance(value, float) and condition.low <= value <= condition.high:
                mask[np.asarray(positions)] = True
        return mask


def _values(attributes: Mapping[str, Any]) -> list[tuple[str, Value]]:
    found: dict[tuple[str, Value], None] = {}
    for name, value in attributes.items():
        if name == KNOWN_NOT_ASKED:
            continue
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, bool):
                found[name, "true" if one else "false"] = None
            elif isinstance(one, int | float):
                if abs(one) < 2**1000:  # JSON has larger whole numbers than float
                    found[name, float(one)] = None
            elif isinstance(one, str) and len(one) <= MAX_TEXT:
                found[name, one] = None
    return list(found)


def _number(value: Value) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
