"""How far into the log a model has learned: the hash ``state`` and every answer's ``as_of``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

Offsets = Mapping[str, Mapping[int, int]]
"""Topic to partition to the next offset to be learned."""


@dataclass(frozen=True)
class AsOf:
    """The state of a model after one micro-batch.

    Parameters
    ----------
    batch : int
        The last micro-batch committed; 0 before the first.
    offsets : mapping
        Topic to partition to next offset. A record has been learned if and only if its offset is
        lower.
    rating_sum : float
        Sum of all ratings learned.
    rating_count : int
        Number of ratings learned; μ follows from both (`recommender.rating_head.Mean`).
    at : float or None
        Time of the commit, seconds since the epoch; None where nothing has been committed.

    Examples
    --------
    >>> offsets = {"ratings": {0: 12}}
    >>> state = AsOf(batch=3, offsets=offsets, rating_sum=36.0, rating_count=12, at=5.0)
    >>> state.covers("ratings", 0, 11), state.covers("ratings", 0, 12)
    (True, False)
    >>> AsOf.from_fields(state.fields()) == state
    True
    """

    batch: int = 0
    offsets: Offsets = field(default_factory=dict)
    rating_sum: float = 0.0
    rating_count: int = 0
    at: float | None = None

    def covers(self, topic: str, partition: int, offset: int) -> bool:
        """Whether the record at this place of the log has been learned."""
        return offset < self.offsets.get(topic, {}).get(partition, 0)

    def fields(self) -> dict[str, str]:
        """The fields of the Redis hash ``state`` and of a change stream entry."""
        return {
            "batch": str(self.batch),
            "offsets": json.dumps(
                {
                    topic: {str(p): n for p, n in parts.items()}
                    for topic, parts in self.offsets.items()
                }
            ),
            "rating_sum": repr(float(self.rating_sum)),
            "rating_count": str(self.rating_count),
            "at": "" if self.at is None else repr(float(self.at)),
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> AsOf:
        """Read back what `fields` wrote.

        Raises
        ------
        KeyError, ValueError
            If a field is missing or is not of its kind.
        """
        return cls(
            batch=int(fields["batch"]),
            offsets=parse_offsets(json.loads(fields["offsets"])),
            rating_sum=float(fields["rating_sum"]),
            rating_count=int(fields["rating_count"]),
            at=float(fields["at"]) if fields.get("at") else None,
        )


def parse_offsets(offsets: Mapping[str, Mapping[str, int]]) -> dict[str, dict[int, int]]:
    """Offsets as JSON gives them (partitions are text there) with numbers as partitions."""
    return {
        topic: {int(partition): int(following) for partition, following in partitions.items()}
        for topic, partitions in offsets.items()
    }


def furthest(some: Offsets, others: Offsets) -> dict[str, dict[int, int]]:
    """For each partition the later of two next offsets."""
    found = {topic: dict(partitions) for topic, partitions in some.items()}
    for topic, partitions in others.items():
        known = found.setdefault(topic, {})
        for partition, following in partitions.items():
            known[partition] = max(following, known.get(partition, 0))
    return found


def records_between(earlier: Offsets, later: Offsets) -> int:
    """How many records lie between two states of the log, as far as they are of its topics.

    Examples
    --------
    >>> records_between({"ratings": {0: 3}}, {"ratings": {0: 5, 1: 4}})
    6
    """
    return sum(
        following - earlier.get(topic, {}).get(partition, 0)
        for topic, partitions in later.items()
        for partition, following in partitions.items()
    )
