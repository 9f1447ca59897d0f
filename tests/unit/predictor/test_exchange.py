"""One who writes and those who read, on event loops of their own."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

from predictor import exchange
from predictor.exchange import Message, Receiver, Sender
from predictor.shared_arrays import shared

ROUNDS = 50
LIMIT = 20  # seconds


class Reader(threading.Thread):
    """Looks at the array over and over, between messages, as requests would."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path = path
        self.state: dict | None = None
        self.torn = 0
        self.looks = 0
        self.behind = 0
        self.news: list[object] = []
        self.hang = threading.Event()
        self.let_go = threading.Event()

    def run(self) -> None:
        asyncio.run(asyncio.wait_for(self._read(), LIMIT))

    def _take(self, message: Message) -> None:
        if message.whole:
            self.state = message.content
        else:
            self.news.append(message.content)

    async def _read(self) -> None:
        receiver = Receiver(self._path, self._take)
        while not receiver.lost.done():
            await asyncio.sleep(0)
            if self.hang.is_set():
                self.let_go.wait(LIMIT)
            if self.state is not None:
                values = self.state["values"]
                self.looks += 1
                self.torn += values.min() != values.max()
                self.behind += values[0] != self.state["round"]
        receiver.close()


async def until(holds) -> None:
    async with asyncio.timeout(LIMIT):
        while not holds():
            await asyncio.sleep(0.01)


def test_nobody_sees_a_half_done_change(tmp_path: Path) -> None:
    async def write() -> list[Reader]:
        content = {"values": shared(np.zeros(100_000)), "round": 0}
        sender = Sender(tmp_path / "s", lambda _: content)
        readers = [Reader(tmp_path / "s") for _ in range(2)]
        for reader in readers:
            reader.start()
        await until(lambda: all(reader.looks for reader in readers))
        for round_ in range(1, ROUNDS):
            async with sender.change():
                content["values"][::2] = round_
                threading.Event().wait(0.001)
                content["values"][1::2] = round_
                content["round"] = round_
                if round_ == ROUNDS // 2:  # another array, as when there is no more room
                    content["values"] = shared(content["values"].repeat(2))
            if round_ == 3:
                late = Reader(tmp_path / "s")
                late.start()
                readers.append(late)
            sender.tell(round_)
            await asyncio.sleep(0.001)
        await until(lambda: all(reader.state["round"] == ROUNDS - 1 for reader in readers))
        await until(lambda: all(ROUNDS - 1 in reader.news for reader in readers))
        sender.close()
        return readers

    readers = asyncio.run(write())
    for reader in readers:
        reader.join(LIMIT)
        assert not reader.is_alive()  # told by the writer's end that it is gone
        assert reader.looks > ROUNDS // 2
        assert reader.torn == reader.behind == 0
        assert len(reader.state["values"]) == 200_000


def test_one_that_does_not_stop_is_left_out_and_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "STOPS_WITHIN", 0.2)

    async def write() -> tuple[Reader, Reader]:
        content = {"values": np.zeros(3), "round": 0}
        sender = Sender(tmp_path / "s", lambda _: content)
        well, hung = Reader(tmp_path / "s"), Reader(tmp_path / "s")
        for reader in (well, hung):
            reader.start()
        await until(lambda: well.looks and hung.looks)
        hung.hang.set()
        await asyncio.sleep(0.05)
        async with sender.change():
            content["values"] = np.ones(3)
            content["round"] = 1
        await until(lambda: well.state["round"] == 1)
        hung.hang.clear()
        hung.let_go.set()
        await asyncio.to_thread(hung.join, LIMIT)
        assert well.is_alive()
        sender.close()
        return well, hung

    well, hung = asyncio.run(write())
    well.join(LIMIT)
    assert not hung.is_alive()
    assert hung.state["round"] == 0
    assert well.torn == 0


def test_without_a_writer_there_is_nothing_to_read(tmp_path: Path) -> None:
    async def read() -> None:
        with pytest.raises(OSError, match="No such file"):
            Receiver(tmp_path / "s", lambda _: None)

    asyncio.run(read())
