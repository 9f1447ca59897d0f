"""What the embedded stores have in common: started at once, awaited apart, at a fixed port."""

from __future__ import annotations

from abc import ABC, abstractmethod

from local.processes import Child, Children, Program
from recommender.errors import MissingRequirement


class Store(ABC):
    """A store as a child process of ours, on a free port that stays the same until it is closed.

    Parameters
    ----------
    children : Children
        Starts it; its folder is where the data are kept.
    """

    name: str
    ready_within = 60.0  # seconds; a loaded laptop that replays its log takes a while

    def __init__(self, children: Children) -> None:
        self.folder = children.state / self.name
        self._children = children
        self._child: Child | None = None

    @abstractmethod
    def prepare(self) -> Program:
        """Make its folder and settings where they are not there yet; what to run."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves: it is really asked."""

    @property
    def child(self) -> Child:
        """Its process."""
        if self._child is None:
            raise MissingRequirement(f"{self.name} has not been started.")
        return self._child

    def launch(self) -> None:
        """Start it, without waiting."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._child = self._children.start(self.prepare())

    def await_ready(self) -> None:
        """Return once it answers.

        Raises
        ------
        MissingRequirement
            If it ends, or does not answer in time.
        """
        self.child.await_ready(self.answers, self.ready_within)

    def stop(self) -> None:
        """End it."""
        self._children.stop(self.child)
