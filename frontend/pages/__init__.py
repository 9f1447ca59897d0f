"""The pages. A page is one module with one builder; the list of them is in `frontend.app`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from frontend.projector import Projector
from frontend.visit import Visit

Scale = tuple[float, float]


@dataclass(frozen=True)
class Shared:
    """What all pages of all visitors share.

    Attributes
    ----------
    scale : (float, float)
        Lowest and highest rating.
    projector : Projector
        Of the shop's film.
    """

    scale: Scale
    projector: Projector


Builder = Callable[[Visit, Shared, Mapping[str, str]], Sequence[asyncio.Task[None]]]


@dataclass(frozen=True)
class Page:
    """A page: where it is, what it is called, and what builds it.

    The builder gets the address's query, draws at once what is known and returns the tasks that
    fetch the rest. A page that is not `listed` is reached from others only.
    """

    path: str
    title: str
    build: Builder
    listed: bool = True
