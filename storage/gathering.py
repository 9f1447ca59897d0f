"""Questions that come while another is being answered are asked together, in one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key")
Answer = TypeVar("Answer")

Ask = Callable[[Sequence[Key]], Awaitable[Sequence[Answer]]]

MOST_TOGETHER = 1000
"""Keys in one question, beyond those of a single caller: it must stay a short one."""


class Gathering(Generic[Key, Answer]):
    """Asks one question at a time; belongs to one event loop.

    Whoever comes first waits for nobody. Whoever comes while that is under way is asked for as soon
    as it is over, together with all others who have come. So answers are never from before the
    question, and the busier it is, the fewer questions there are for each caller.

    Parameters
    ----------
    ask : callable
        Answers some keys, in their order.
    """

    def __init__(self, ask: Ask[Key, Answer]) -> None:
        self._ask = ask
        self._waiting: list[tuple[Sequence[Key], asyncio.Future[Sequence[Answer]]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def answers(self, keys: Sequence[Key]) -> Sequence[Answer]:
        """The answers to some keys, in their order; raises what asking raises."""
        future: asyncio.Future[Sequence[Answer]] = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, future))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all())
        return await future

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                await self._ask_some(self._next())
        finally:
            self._asking = None
            for _, future in self._waiting:  # only where this task was cancelled
                future.cancel()
            self._waiting.clear()

    def _next(self) -> list[tuple[Sequence[Key], asyncio.Future[Sequence[Answer]]]]:
        count, length = 0, 0
        for keys, _ in self._waiting:
            length += len(keys)
            if count and length > MOST_TOGETHER:
                break
            count += 1
        some, self._waiting = self._waiting[:count], self._waiting[count:]
        return some

    async def _ask_some(
        self, some: list[tuple[Sequence[Key], asyncio.Future[Sequence[Answer]]]]
    ) -> None:
        try:
            answers = await self._ask([key for keys, _ in some for key in keys])
        except Exception as error:
            for _, future in some:
                if not future.done():  # the caller may have left
                    future.set_exception(error)
            return
        except asyncio.CancelledError:
            for _, future in some:
                future.cancel()
            raise
        start = 0
        for keys, future in some:
            if not future.done():
                future.set_result(answers[start : start + len(keys)])
            start += len(keys)
