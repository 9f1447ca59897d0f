"""What the routes work with."""

from __future__ import annotations

from dataclasses import dataclass

from predictor.follower import Follower
from predictor.neighbours import Neighbours
from predictor.report import Reporter
from predictor.settings import PredictorSettings
from predictor.users import UserReader
from storage.reading import TruthReader


@dataclass(frozen=True)
class Predictor:
    """The parts of a running predictor.

    Parameters
    ----------
    settings : PredictorSettings
    follower : Follower
        The item side.
    users : UserReader
        Users.
    neighbours : Neighbours
        Users beside a user.
    reporter : Reporter
        What the model says about itself.
    truth : TruthReader
        For what is read seldom, and by nobody else.
    """

    settings: PredictorSettings
    follower: Follower
    users: UserReader
    neighbours: Neighbours
    reporter: Reporter
    truth: TruthReader

    @property
    def stale(self) -> bool:
        """Whether the item side follows no store at present."""
        return not self.follower.current
