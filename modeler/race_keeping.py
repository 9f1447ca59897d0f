"""Keeps the race that is going on: who leads, who is taken out, who joins (`recommender.race`).

Judged are the models' prequential losses, in stretches of ratings. A new modeler judges anew from
what is in Postgres, as far back as losses still count, among those who are still running.
"""

from __future__ import annotations

import math
from contextlib import suppress

import structlog

from modeler.keeper_settings import KeeperSettings
from recommender.errors import Refused
from recommender.model_settings import ModelSettings
from recommender.race import Judgement, Pruned, RaceSettings, drawn_around
from storage.models import Registry
from storage.prequential import in_stretches, measured
from storage.races import RaceRecord, contestants, copy_model, running_race
from storage.settings import PostgresSettings

log = structlog.get_logger(__name__)

_AT_ONCE = 10_000  # micro-batches


class RaceKeeping:
    """The race, look after look.

    Parameters
    ----------
    settings : KeeperSettings
    postgres : PostgresSettings
        For copies.
    """

    def __init__(self, settings: KeeperSettings, postgres: PostgresSettings) -> None:
        self._settings = settings
        self._postgres = postgres
        self._race: RaceRecord | None = None
        self._judgement: Judgement | None = None
        self._after = 0

    def look(self, registry: Registry) -> None:
        """Take in what has been learned since the last look."""
        with registry.reading() as cur:
            race = running_race(cur)
            running = contestants(cur, race.race) if race is not None else []
        if race is None:
            self._race = self._judgement = None
            return
        if self._race is None or self._race.race != race.race or self._judgement is None:
            settings = RaceSettings(**{**self._settings.model_dump(), **race.settings})
            self._judgement = Judgement(map(str, running), settings)
            self._race, self._after = race, race.batch
        self._follow(running)
        self._judge(registry, running)
        self._tell(registry, race.race)
        self._spawn(registry, race.race)

    def close(self) -> None:
        """Nothing goes on."""

    def _follow(self, running: list[int]) -> None:
        """Those who run are who is in the registry: some were taken out or promoted by hand."""
        judgement = self._known()
        wanted = {str(model) for model in running}
        for name in set(judgement.running) - wanted:
            judgement.remove(name)
        for name in sorted(
            wanted - set(judgement.running) - {one.name for one in judgement.pruned}
        ):
            judgement.add(name)

    def _judge(self, registry: Registry, running: list[int]) -> None:
        judgement = self._known()
        while True:
            with registry.reading() as cur:
                found = measured(cur, running, self._after, _AT_ONCE)
            stretches = in_stretches(found, self._settings.keeper_stretch)
            for one in stretches:
                self._after = one.batch
                squared = {str(model): loss for model, loss in one.squared.items()}
                for pruned in judgement.observe(one.ratings, squared):
                    self._take_out(registry, pruned)
            if len(found) < _AT_ONCE or not stretches:
                return

    def _take_out(self, registry: Registry, pruned: Pruned) -> None:
        reason = (
            f"taken out of the race: worse than model {pruned.leader} by {pruned.worse_by:.4f} in "
            f"mean squared error (T {pruned.statistic:.1f} > {pruned.quantile:.1f}) after "
            f"{pruned.after:,} ratings"
        )
        log.info("race", model=int(pruned.name), reason=reason)
        with suppress(Refused):  # the serving model stays, until another one takes its place
            registry.retire(int(pruned.name), reason)

    def _tell(self, registry: Registry, race: int) -> None:
        judgement = self._known()
        if not judgement.running:
            return
        leader = judgement.leader
        loss = judgement.loss(leader)
        if not math.isfinite(loss):
            return
        reason = (
            f"model {leader} leads {len(judgement.running)} after {judgement.ratings:,} ratings: "
            f"faded RMSE {math.sqrt(loss):.4f}"
        )
        with registry.reading() as cur:
            cur.execute(
                "UPDATE races SET reason = %s WHERE race = %s AND ended_at IS NULL", (reason, race)
            )
        serving = registry.serving()
        if serving is None or serving.model == int(leader) or not judgement.is_warm(leader):
            return
        registry.explain(int(leader), f"leads race {race}; proposed to serve")
        if self._settings.promote_race_leader:
            with suppress(Refused):  # it has not passed the gate yet
                registry.promote(int(leader), self._settings)
                log.info("promoted", model=int(leader), reason=reason)

    def _spawn(self, registry: Registry, race: int) -> None:
        judgement = self._known()
        if not judgement.running or not judgement.may_spawn:
            return
        leader = registry.model(int(judgement.leader))
        drawn = drawn_around(ModelSettings(**leader.settings), leader.model, judgement.ratings)
        reason = f"in race {race}, a neighbour of model {leader.model}"
        model = copy_model(self._postgres, leader.model, drawn, race, reason)
        judgement.add(str(model))
        log.info("race", model=model, reason=reason)

    def _known(self) -> Judgement:
        assert self._judgement is not None
        return self._judgement
