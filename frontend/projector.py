"""The shop's film, computed once for all visitors and kept, and the addresses of its pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

import structlog
from fastapi import APIRouter, HTTPException
from PIL import Image
from starlette.responses import Response

from frontend.pictures import as_gif, as_png, beside, png
from frontend.signal import Signal
from recommender.shop import Picture, pattern
from recommender.shop_film import STEPS, Step, film

log = structlog.get_logger(__name__)

SEED = 1
FILM = "/shop"
# The film is the same every time; a new version of the program may change it by tomorrow.
KEPT = {"Cache-Control": "public, max-age=3600"}

Kind = Literal["seen", "als", "sgd"]


@dataclass(frozen=True)
class Shown:
    """A step of the film, and its pictures as the browser takes them."""

    step: Step
    pictures: dict[str, bytes]


class Projector:
    """Computes the film when the first visitor wants to see it, off the event loop.

    Some 20 kB a picture: all of it takes about 2 MB of memory.

    Parameters
    ----------
    picture : (size, size) uint8, optional
        The shop's.
    steps : int
        Of the film.

    Attributes
    ----------
    frames : list of Shown
        What is ready so far.
    problem : str or None
        Why there will be no more.
    changed : Signal
        Emitted with each new frame.
    """

    def __init__(self, picture: Picture | None = None, steps: int = STEPS) -> None:
        self.picture = pattern() if picture is None else picture
        self.steps = steps
        self.truth = png(self.picture)
        self.frames: list[Shown] = []
        self.problem: str | None = None
        self.changed: Signal[[]] = Signal()
        self._task: asyncio.Task[None] | None = None
        self._gif: bytes | None = None

    @property
    def complete(self) -> bool:
        """Whether the whole film is there."""
        return len(self.frames) == self.steps

    def start(self) -> None:
        """Make sure that the film is there or on its way; what failed is begun anew."""
        if not self.complete and (self._task is None or self._task.done()):
            self.frames.clear()
            self.problem = None
            self._task = asyncio.create_task(self._compute(), name="shop film")

    async def stop(self) -> None:
        """Give up what is not computed yet."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _compute(self) -> None:
        steps = film(self.picture, SEED, self.steps)
        try:
            while (shown := await asyncio.to_thread(_next, steps, self.picture)) is not None:
                self.frames.append(shown)
                self.changed.emit()
        except Exception as error:  # whatever it is, the page must say so instead of waiting
            log.exception("shop film")
            self.problem = f"The film could not be computed: {error}"
            self.changed.emit()

    def frame(self, step: int) -> Shown:
        """A step that is ready.

        Raises
        ------
        HTTPException
            404 where it is not.
        """
        if not 0 <= step < len(self.frames):
            raise HTTPException(HTTPStatus.NOT_FOUND, "This step has not been computed yet.")
        return self.frames[step]

    def side_by_side(self, step: int) -> bytes:
        """The truth, ALS and B-SGD at a step, with their errors, as PNG."""
        return as_png(self._beside(self.frame(step).step))

    def gif(self) -> bytes:
        """The whole film as GIF.

        Raises
        ------
        HTTPException
            404 while it is not complete.
        """
        if not self.complete:
            raise HTTPException(HTTPStatus.NOT_FOUND, "The film is still being computed.")
        if self._gif is None:
            self._gif = as_gif(self._beside(shown.step) for shown in self.frames)
        return self._gif

    def _beside(self, step: Step) -> Image.Image:
        return beside(
            [self.picture, step.als, step.sgd],
            [
                f"the shop; {step.ratings:,} of {self.picture.size:,} ratings seen",
                f"batch ALS: RMSE {step.als_rmse:.1f} of 255",
                f"B-SGD, streamed: RMSE {step.sgd_rmse:.1f} of 255",
            ],
        )


def _next(steps: Iterator[Step], picture: Picture) -> Shown | None:
    step = next(steps, None)
    if step is None:
        return None
    return Shown(
        step, {"seen": png(picture, step.seen), "als": png(step.als), "sgd": png(step.sgd)}
    )


def router(projector: Projector) -> APIRouter:
    """The addresses of the pictures; outside OpenAPI, they belong to the page."""
    routes = APIRouter(prefix=FILM, include_in_schema=False)

    def sent(content: bytes, kind: str, name: str | None = None) -> Response:
        headers = dict(KEPT)
        if name is not None:
            headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return Response(content, media_type=f"image/{kind}", headers=headers)

    @routes.get("/truth.png")
    async def truth() -> Response:
        return sent(projector.truth, "png")

    @routes.get("/shop.gif")
    async def gif() -> Response:
        return sent(await asyncio.to_thread(projector.gif), "gif", "shop.gif")

    @routes.get("/{step}/shop.png")
    async def side_by_side(step: int) -> Response:
        found = await asyncio.to_thread(projector.side_by_side, step)
        return sent(found, "png", f"shop-{step + 1}.png")

    @routes.get("/{step}/{kind}.png")
    async def picture(step: int, kind: Kind) -> Response:
        return sent(projector.frame(step).pictures[kind], "png")

    return routes
