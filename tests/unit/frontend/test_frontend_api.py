import asyncio
from collections.abc import Callable

import httpx
import pytest

from frontend.answers import Record
from frontend.api import ATTEMPTS, Api
from recommender.errors import InvalidInput, Unavailable
from tests.fakes.services import World, clients


def api_answering(handler: Callable[[httpx.Request], httpx.Response]) -> Api:
    transport = httpx.MockTransport(handler)
    return Api(
        httpx.AsyncClient(transport=transport, base_url="http://ingest.test"),
        httpx.AsyncClient(transport=transport, base_url="http://predictor.test"),
    )


def test_rate_then_read_your_own_rating() -> None:
    async def run() -> None:
        api = Api(*clients(World(learning_seconds=0.05)))
        record = await api.rate("ann", "1", 5, timestamp=1.0, event_id="e1")
        assert record == Record(topic="ratings", partition=0, offset=0)
        fresh = await api.recommend("ann", 3, after=record)
        assert fresh.as_of.covers(record)
        assert [i.item for i in fresh.items] == ["4", "7", "10"]  # animation, by popularity
        assert [(i.item, i.score) for i in (await api.ratings("ann")).items] == [("1", 5)]
        # 3 + (0.6 - 0.03 * 3) + (5 - 3) = 5.51, clipped to the scale
        assert (await api.explain("ann", ["4"])).items[0].score == 5.0
        assert (await api.recommend("bob", 1)).source == "popular"
        await api.close()

    asyncio.run(run())


def test_a_user_id_stays_one_segment_of_the_path() -> None:
    seen: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(200, json={"items": []})

    asyncio.run(api_answering(handler).ratings("../a b?c/é"))
    assert seen == [b"/users/..%2Fa%20b%3Fc%2F%C3%A9/ratings"]


def test_not_now_is_tried_again() -> None:
    calls = 0

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise httpx.ConnectError("refused")
        if calls == 2:
            return httpx.Response(503, json={"detail": "starting"})
        return httpx.Response(200, json={"model": 7})

    assert asyncio.run(api_answering(handler).model()).model == 7
    assert calls == 3 == ATTEMPTS


def test_away_is_unavailable_with_the_services_own_words() -> None:
    with pytest.raises(Unavailable, match="predictor is not available: no answer"):
        asyncio.run(api_answering(_refuse_connection).model())
    rests = api_answering(lambda _: httpx.Response(503, json={"detail": "no model yet"}))
    with pytest.raises(Unavailable, match="no model yet"):
        asyncio.run(rests.model())


def _refuse_connection(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"items": [{"item": 3}]}', b'{"items": "many"}']
)
def test_nonsense_is_unavailable(body: bytes) -> None:
    api = api_answering(lambda _: httpx.Response(200, content=body))
    with pytest.raises(Unavailable, match="shape"):
        asyncio.run(api.search("x", 3))


def test_a_refusal_names_the_field_and_is_not_repeated() -> None:
    calls = 0

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        errors = [{"field": "rating", "value": 9, "allowed": "0.5 to 5"}]
        return httpx.Response(422, json={"detail": "wrong", "errors": errors})

    with pytest.raises(InvalidInput, match=r"rating: 9 is not allowed; expected 0\.5 to 5"):
        asyncio.run(api_answering(handler).rate("u", "1", 9, timestamp=0, event_id="e"))
    assert calls == 1


def test_a_refusal_without_reasons_is_still_a_refusal() -> None:
    with pytest.raises(InvalidInput, match="404"):
        asyncio.run(api_answering(lambda _: httpx.Response(404)).ratings("u"))
