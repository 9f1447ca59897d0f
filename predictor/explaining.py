"""Recommended items as JSON, and why they are recommended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from predictor.answers import item_at, items_at
from predictor.listing import Listed, explained
from predictor.ranking import Parts, Reasons
from predictor.served import Served

SHOWN_REASONS = 5
"""Reasons listed one by one; a sentence has room for one to three."""


def recommended(served: Served, listed: Sequence[Listed], explain: bool) -> list[dict[str, Any]]:
    """The items of a list; with their explanations where they are wanted."""
    if not explain:
        return items_at(served, listed)
    items = []
    for one, parts, reasons in explained(listed):
        item = item_at(served, one.position, one.score, one.source)
        if one.source != "exploration":
            item["score"] = float(sum(values[0] for values in parts.values()))
        item["explanation"] = explanation(served, parts, reasons)
        items.append(item)
    return items


def explanation(served: Served, parts: Parts, reasons: Sequence[Reasons]) -> dict[str, Any]:
    """What a score adds up from, and the ratings that add most to it.

    Parameters
    ----------
    served : Served
    parts : mapping of str to (1,) float64
    reasons : sequence of Reasons
        Of the same item alone.
    """
    why = []
    for reason in reasons:
        whole = float(parts[reason.part][0])
        for item, rating, added in zip(
            reason.items, reason.ratings, reason.added[0].tolist(), strict=True
        ):
            why.append(
                {
                    "item": item,
                    "title": served.catalogue.title(item),
                    "rating": rating,
                    "part": reason.part,
                    "contribution": added,
                    "share": added / whole if whole else 0.0,
                }
            )
    why.sort(key=lambda one: -one["contribution"])
    shown = [one for one in why[:SHOWN_REASONS] if one["contribution"] > 0]
    left = why[len(shown) :]
    return {
        "parts": {name: float(values[0]) for name, values in parts.items()},
        "why": shown,
        "others": {"count": len(left), "contribution": sum(one["contribution"] for one in left)},
    }
