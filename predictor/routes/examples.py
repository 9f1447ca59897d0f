"""Examples for OpenAPI."""

from __future__ import annotations

from typing import Any

EXAMPLE_HEAD = {
    "model": 1,
    "as_of": {"batch": 812, "offsets": {"0": 50210}, "at": "2026-01-31T12:00:00.250000+00:00"},
    "stale": False,
}
EXAMPLE_ITEM = {
    "item": "318",
    "score": 4.4312,
    "title": "Shawshank Redemption, The (1994)",
    "source": "model",
}


def example(body: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI entry of an answer: its own fields by example, behind every answer's head."""
    return {"content": {"application/json": {"example": {**EXAMPLE_HEAD, **body}}}}


def list_example(source: str, score: float) -> dict[str, Any]:
    """Of a list with one item."""
    item = {**EXAMPLE_ITEM, "score": score, "source": source}
    return example({"source": source, "items": [item]})
