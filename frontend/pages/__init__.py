"""The pages. A page is one module with one builder; the list of them is in `frontend.app`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from frontend.visit import Visit

Scale = tuple[float, float]
Builder = Callable[[Visit, Scale], Sequence[asyncio.Task[None]]]


@dataclass(frozen=True)
class Page:
    """A page: where it is, what it is called, and what builds it.

    The builder draws at once what is known and returns the tasks that fetch the rest.
    """

    path: str
    title: str
    build: Builder
