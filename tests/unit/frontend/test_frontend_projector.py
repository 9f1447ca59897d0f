"""The shop's film as it is served: computed once, whatever asks; what is not ready is said so."""

from __future__ import annotations

import asyncio
import io

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from frontend import projector as module
from frontend.projector import Projector, router
from recommender.shop import pattern


def run(steps) -> None:
    async def with_client() -> None:
        projector = Projector(pattern(60), steps=4)
        app = FastAPI()
        app.include_router(router(projector))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://film.test") as http:
            try:
                await steps(projector, http)
            finally:
                await projector.stop()

    asyncio.run(with_client())


async def finished(projector: Projector) -> None:
    for _ in range(600):
        if projector.complete or projector.problem:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("the film was not ready within 30 s")


def test_pictures_are_there_once_they_are_computed() -> None:
    async def steps(projector: Projector, http: httpx.AsyncClient) -> None:
        assert (await http.get("/shop/truth.png")).status_code == 200
        assert (await http.get("/shop/0/als.png")).status_code == 404
        assert (await http.get("/shop/shop.gif")).status_code == 404
        projector.start()
        projector.start()  # a second visitor
        await finished(projector)
        assert len(projector.frames) == 4
        for kind in ("seen", "als", "sgd"):
            answer = await http.get(f"/shop/3/{kind}.png")
            assert answer.headers["content-type"] == "image/png"
            assert "max-age" in answer.headers["cache-control"]
            assert Image.open(io.BytesIO(answer.content)).size == (60, 60)
        assert (await http.get("/shop/4/als.png")).status_code == 404
        assert (await http.get("/shop/0/other.png")).status_code == 422
        film = Image.open(io.BytesIO((await http.get("/shop/shop.gif")).content))
        assert film.n_frames == 4
        still = await http.get("/shop/3/shop.png")
        assert 'filename="shop-4.png"' in still.headers["content-disposition"]
        # the first of the three pictures is the truth
        assert np.array_equal(
            np.asarray(Image.open(io.BytesIO(still.content)))[:60, :60],
            np.asarray(
                Image.open(io.BytesIO((await http.get("/shop/truth.png")).content)).convert("RGB")
            ),
        )

    run(steps)


def test_what_goes_wrong_is_said_and_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(projector: Projector, _http: httpx.AsyncClient) -> None:
        real = module.film

        def broken(*_: object) -> object:
            raise MemoryError("no room")
            yield

        monkeypatch.setattr(module, "film", broken)
        projector.start()
        await finished(projector)
        assert "no room" in (projector.problem or "")
        monkeypatch.setattr(module, "film", real)
        projector.start()
        await finished(projector)
        assert projector.complete
        assert projector.problem is None

    run(steps)
