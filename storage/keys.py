"""Names of the keys of the projection in Redis; what they hold is told in docs/architecture.md."""

from __future__ import annotations

from dataclasses import dataclass


def serving(prefix: str) -> str:
    """Key that holds the number of the serving model."""
    return f"{prefix}:serving"


def lag(prefix: str) -> str:
    """Key that holds how many records wait in the log; gone soon after nobody tells."""
    return f"{prefix}:lag"


@dataclass(frozen=True)
class Keys:
    """The keys of one model.

    Parameters
    ----------
    prefix : str
        First part of every key (the setting ``RECOMMENDER_REDIS_PREFIX``).
    model : int
        The model's number.

    Examples
    --------
    >>> Keys("recommender", 1).user("7")
    'recommender:1:user:7'
    >>> Keys("recommender", 1).changes
    'recommender:1:changes'
    """

    prefix: str
    model: int

    @property
    def start(self) -> str:
        """What every key of this model begins with."""
        return f"{self.prefix}:{self.model}:"

    def user(self, user: str) -> str:
        """A user's row: the bytes of `recommender.rows.RowFormat.row`."""
        return f"{self.start}user:{user}"

    def item(self, item: str) -> str:
        """An item's row: the bytes of `recommender.rows.RowFormat.row`."""
        return f"{self.start}item:{item}"

    def rated(self, user: str) -> str:
        """A user's ratings, in the form of `storage.rated`."""
        return f"{self.start}rated:{user}"

    @property
    def state(self) -> str:
        """Hash that says how far into the log the projection reaches."""
        return f"{self.start}state"

    @property
    def changes(self) -> str:
        """Stream with one entry for each micro-batch."""
        return f"{self.start}changes"
