"""A log in memory that behaves as Kafka's: partitions, offsets, order by key, and being away."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence

from recommender.errors import Unavailable
from storage.log import Position, Record


class FakeLog:
    """Takes what `storage.log.RatingLog` takes; ``records[topic][partition]`` is what it holds."""

    def __init__(self, partitions: int = 4) -> None:
        self.partitions = partitions
        self.away = False
        self.records: dict[str, dict[int, list[Record]]] = defaultdict(lambda: defaultdict(list))

    async def publish(self, topic: str, records: Sequence[Record]) -> list[Position]:
        if self.away:
            raise Unavailable("Kafka", "it has been stopped")
        return [self._append(topic, record) for record in records]

    async def trouble(self, topics: Sequence[str]) -> list[str]:
        return ["Kafka is not available: it has been stopped"] if self.away else []

    def _append(self, topic: str, record: Record) -> Position:
        partition = zlib.crc32(record[0]) % self.partitions
        held = self.records[topic][partition]
        held.append(record)
        return Position(topic, partition, len(held) - 1)

    def values(self, topic: str) -> list[bytes]:
        """All values of a topic, in no particular order of partitions."""
        return [value or b"" for held in self.records[topic].values() for _, value in held]
