"""A rating that has been given, or taken back, here and that the model has not learned yet."""

from __future__ import annotations

from typing import NamedTuple

from frontend.answers import Record


class Waiting(NamedTuple):
    """All that is needed to send it, again if need be: the event id makes twice count once.

    A `rating` of None takes the earlier one back; that twice is the same as once anyway.
    `partition` and `offset` are its place in the log, once it is there.
    """

    user: str
    item: str
    title: str | None
    rating: float | None
    timestamp: float  # seconds since the epoch, when the stars were clicked
    event_id: str
    partition: int | None = None
    offset: int | None = None

    @property
    def record(self) -> Record | None:
        """Its place in the log; None while it has not reached it."""
        if self.partition is None or self.offset is None:
            return None
        return Record(topic="ratings", partition=self.partition, offset=self.offset)
