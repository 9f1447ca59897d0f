"""Questions are asked together only while another is under way, and each caller gets its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from storage.gathering import MOST_TOGETHER, Gathering


class Store:
    """Answers each number with its double, once it is let."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def ask(self, keys: Sequence[int]) -> list[int]:
        self.asked.append(list(keys))
        await self.open.wait()
        if 13 in keys:
            raise ValueError("13")
        return [2 * key for key in keys]


async def several(store: Store, *questions: list[int]) -> list[object]:
    """Asked by callers who come at once, before any question is under way."""
    gathering = Gathering(store.ask)
    store.open.clear()
    callers = [asyncio.create_task(_answers(gathering, keys)) for keys in questions]
    while not store.asked:
        await asyncio.sleep(0)
    store.open.set()
    return await asyncio.wait_for(asyncio.gather(*callers, return_exceptions=True), timeout=10)


async def _answers(gathering: Gathering[int, int], keys: list[int]) -> list[int]:
    return list(await gathering.answers(keys))


def test_who_comes_meanwhile_is_asked_for_together() -> None:
    async def run() -> None:
        store = Store()
        gathering = Gathering(store.ask)
        store.open.clear()
        first = asyncio.create_task(_answers(gathering, [1]))
        while not store.asked:
            await asyncio.sleep(0)
        others = [asyncio.create_task(_answers(gathering, keys)) for keys in ([2, 3], [4], [2])]
        await asyncio.sleep(0)
        store.open.set()
        found = await asyncio.wait_for(asyncio.gather(first, *others), timeout=10)
        assert found == [[2], [4, 6], [8], [4]]
        assert store.asked == [[1], [2, 3, 4, 2]]
        assert await _answers(gathering, [5]) == [10]  # and again, when it is quiet

    asyncio.run(run())


def test_an_error_is_raised_to_those_who_were_asked_for() -> None:
    async def run() -> None:
        store = Store()
        found = await several(store, [1], [13], [2])
        assert store.asked == [[1, 13, 2]]
        assert all(isinstance(one, ValueError) for one in found)
        assert await _answers(Gathering(store.ask), [3]) == [6]

    asyncio.run(run())


def test_who_leaves_does_not_hold_up_the_others() -> None:
    async def run() -> None:
        store = Store()
        gathering = Gathering(store.ask)
        store.open.clear()
        leaving, staying = (asyncio.create_task(_answers(gathering, [key])) for key in (1, 2))
        while not store.asked:
            await asyncio.sleep(0)
        leaving.cancel()
        store.open.set()
        assert await asyncio.wait_for(staying, timeout=10) == [4]
        with pytest.raises(asyncio.CancelledError):
            await leaving

    asyncio.run(run())


def test_a_question_stays_short() -> None:
    async def run() -> None:
        store = Store()
        half = list(range(100, 100 + MOST_TOGETHER // 2 + 1))
        found = await several(store, [1], half, half)
        assert found[1] == found[2] == [2 * key for key in half]
        assert all(len(asked) <= MOST_TOGETHER for asked in store.asked)

    asyncio.run(run())
