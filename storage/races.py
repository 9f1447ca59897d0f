"""Races in the registry: copies of a serving model that learn the same stream with other steps.

A copy begins as what it is copied from, bit for bit, and learns with the stream from then on. The
serving model takes part in a race; the others are the models that name it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from psycopg2.extensions import cursor

from recommender.errors import InvalidInput, Refused
from recommender.initial import SIDES
from recommender.model_settings import ModelSettings
from recommender.race_curve import HALF_LIFE, faded_rmse
from storage.joining import become_candidate, serving_place
from storage.models import TRAINING_LOCK, Registry, changing, new_model, reading, retire
from storage.partitions import make_partitions, partition
from storage.postgres_client import connect
from storage.settings import PostgresSettings

COPIED = ("learning_rate", "bias_learning_rate", "regularization", "decay", "passes", "replay")
"""Settings that a copy may have otherwise: those of its steps, not of its rows."""

_CURVE = 100
"""Points of a contestant's curve at most."""


@dataclass(frozen=True)
class RaceRecord:
    """One race.

    Attributes
    ----------
    race : int
    settings : mapping
        Those that it was started with.
    batch : int
        The micro-batch after which it began.
    started_at : datetime
    ended_at : datetime or None
    reason : str
        How it stands, or why it ended.
    """

    race: int
    settings: Mapping[str, Any]
    batch: int
    started_at: datetime
    ended_at: datetime | None
    reason: str


def start_race(registry: Registry, settings: Mapping[str, Any]) -> int:
    """Begin a race, with the serving model alone; its number.

    Raises
    ------
    Refused
        If one is going on, or no model serves.
    """
    with registry.changing() as cur:
        running = running_race(cur)
        if running is not None:
            raise Refused(f"race {running.race} is going on: stop it first")
        place = serving_place(cur)
        cur.execute(
            """INSERT INTO races (race, settings, batch)
               SELECT coalesce(max(race), 0) + 1, %s, %s FROM races RETURNING race""",
            (json.dumps(dict(settings)), place.batch),
        )
        (race,) = cur.fetchone() or (0,)
    return int(race)


def running_race(cur: cursor) -> RaceRecord | None:
    """The race that is going on."""
    return _race(cur, "ended_at IS NULL")


def last_race(cur: cursor) -> RaceRecord | None:
    """The race that is going on, or the last one."""
    return _race(cur, "true")


def contestants(cur: cursor, race: int) -> list[int]:
    """Models that are in a race and learn: the serving one first, then the copies."""
    cur.execute(
        """SELECT model FROM models
           WHERE status = 'serving' OR (status = 'candidate' AND race = %s)
           ORDER BY status DESC, model""",
        (race,),
    )
    return [model for (model,) in cur.fetchall()]


def described_race(registry: Registry) -> dict[str, Any]:
    """The race that is going on, or the last one, as ``GET /models/race`` answers it."""
    with registry.reading() as cur:
        race = last_race(cur)
        if race is None:
            return {"race": None, "state": "none", "contestants": [], "out": []}
        running = contestants(cur, race.race) if race.ended_at is None else []
        cur.execute(
            """SELECT m.model, m.status, m.settings, coalesce(sum(b.ratings), 0),
                      sqrt(sum(b.squared_error) / nullif(sum(b.ratings), 0))
               FROM models m LEFT JOIN micro_batches b ON b.model = m.model AND b.batch > %s
               WHERE m.model = ANY(%s) GROUP BY m.model""",
            (race.batch, running),
        )
        standing = sorted(cur.fetchall(), key=lambda row: (row[4] is None, row[4], row[0]))
        cur.execute(
            """SELECT model, reason FROM models WHERE race = %s AND status = 'retired'
               ORDER BY retired_at""",
            (race.race,),
        )
        out = cur.fetchall()
        curves = _curves(cur, race, [*running, *(model for model, _ in out)])
        copies = [row[0] for row in standing if row[1] != "serving"]
        cur.execute(
            """SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class
               WHERE relname = ANY(%s)""",
            ([partition(side, model) for model in copies for side in SIDES],),
        )
        (rows,) = cur.fetchone() or (0,)
        cur.execute("SELECT count(*) FROM models WHERE status IN ('candidate', 'serving')")
        (learning,) = cur.fetchone() or (1,)
    return {
        "race": race.race,
        "state": "running" if race.ended_at is None else "ended",
        "started_at": race.started_at.isoformat(),
        "ended_at": race.ended_at.isoformat() if race.ended_at else None,
        "reason": race.reason,
        "contestants": [
            {
                "model": model,
                "status": status,
                "settings": {name: settings[name] for name in COPIED if name in settings},
                "ratings": int(ratings),
                "rmse": rmse,
                "curve": curves.get(model, []),
            }
            for model, status, settings, ratings, rmse in standing
        ],
        "out": [
            {"model": model, "reason": reason, "curve": curves.get(model, [])}
            for model, reason in out
        ],
        "cost": {
            "copies": len(copies),
            "width": race.settings.get("race_width"),
            "rows": int(rows),
            "share": round(len(copies) / max(learning, 1), 4),
        },
    }


def _curves(
    cur: cursor, race: RaceRecord, models: list[int]
) -> dict[int, list[dict[str, float | int]]]:
    """Faded RMSE of each model of a race, after so many ratings since it began."""
    cur.execute(
        """WITH raced AS (
               SELECT model, batch, ratings, squared_error FROM micro_batches
               WHERE model = ANY(%s) AND batch > %s
                 AND at <= coalesce(%s::timestamptz, 'infinity')),
           size AS (SELECT greatest(1, ceil((max(batch) - %s) / %s::real)::integer) AS batches
                    FROM raced)
           SELECT model, (batch - %s - 1) / batches AS stretch, sum(ratings), sum(squared_error)
           FROM raced, size GROUP BY 1, 2 ORDER BY 1, 2""",
        (models, race.batch, race.ended_at, race.batch, _CURVE, race.batch),
    )
    found = cur.fetchall()
    if not found:
        return {}
    length = max(stretch for _, stretch, _, _ in found) + 1
    ratings = {model: np.zeros(length, np.int64) for model in models}
    squared = {model: np.zeros(length) for model in models}
    for model, stretch, count, error in found:
        ratings[model][stretch], squared[model][stretch] = count, error
    # All learn the same; who joined late, or left, has fewer.
    since = np.max(list(ratings.values()), axis=0).cumsum()
    half_life = int(race.settings.get("race_half_life", HALF_LIFE))
    curves = {}
    for model in models:
        learned = np.flatnonzero(ratings[model])
        rmse = faded_rmse(ratings[model][learned], squared[model][learned], half_life)
        curves[model] = [
            {"ratings": int(after), "rmse": round(value, 4)}
            for after, value in zip(since[learned].tolist(), rmse.tolist(), strict=True)
        ]
    return curves


def stop_race(registry: Registry, reason: str) -> int:
    """End the race, and retire its copies but for those that serve or have served; its number.

    Raises
    ------
    Refused
        If none is going on.
    """
    with registry.changing() as cur:
        race = running_race(cur)
        if race is None:
            raise Refused("no race is going on")
        cur.execute(
            """SELECT model FROM models
               WHERE race = %s AND status = 'candidate' AND served_at IS NULL""",
            (race.race,),
        )
        retire(cur, [model for (model,) in cur.fetchall()], f"race {race.race} ended: {reason}")
        cur.execute(
            "UPDATE races SET ended_at = now(), reason = %s WHERE race = %s", (reason, race.race)
        )
    return race.race


def copy_model(
    settings: PostgresSettings, source: int, changed: Mapping[str, Any], race: int, reason: str
) -> int:
    """Make a candidate that begins as another model that learns, with other steps.

    1. Rows are copied beside the learning, from one snapshot;
    2. between two micro-batches those that have changed since are copied again, and it joins.

    Raises
    ------
    InvalidInput
        If a setting is none of `COPIED`.
    Refused
        If the source does not learn (any more).
    """
    for name in changed:
        if name not in COPIED:
            raise InvalidInput("setting", name, f"one of {', '.join(COPIED)}")
    with closing(connect(settings)) as opened:
        with changing(opened) as cur:
            cur.execute("SELECT settings, data FROM models WHERE model = %s", (source,))
            own, data = cur.fetchone() or ({}, "")
            made = ModelSettings.model_validate({**own, **changed}).model_dump(mode="json")
            model = new_model(cur, made, data, source, "being copied")
            cur.execute("SELECT pg_advisory_lock(%s, %s)", (TRAINING_LOCK, model))
            cur.execute("UPDATE models SET race = %s WHERE model = %s", (race, model))
            make_partitions(cur, model)
        with reading(opened) as cur:
            cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            batch = _batch(cur, source)
            _copy_rows(cur, source, model, after=-1)
        with changing(opened) as cur:
            _batch(cur, source)
            _copy_rows(cur, source, model, after=batch)
            _drop_gone(cur, source, model)
            # All that learn are at one place: that of the serving model.
            become_candidate(cur, model, serving_place(cur), reason)
    return model


def _batch(cur: cursor, model: int) -> int:
    cur.execute(
        "SELECT batch FROM models WHERE model = %s AND status IN ('candidate', 'serving')",
        (model,),
    )
    found = cur.fetchone()
    if found is None:
        raise Refused(f"model {model} does not learn: only one that does is copied")
    return int(found[0])


def _copy_rows(cur: cursor, source: int, model: int, after: int) -> None:
    for side in SIDES:
        cur.execute(
            f"""INSERT INTO {side}_rows_{model:d} (model, id, n, batch, state)
                SELECT {model:d}, id, n, batch, state FROM {side}_rows_{source:d} WHERE batch > %s
                ON CONFLICT (model, id) DO UPDATE
                SET n = excluded.n, batch = excluded.batch, state = excluded.state""",
            (after,),
        )


def _drop_gone(cur: cursor, source: int, model: int) -> None:
    """Rows that the source has no more: their user has withdrawn everything meanwhile."""
    for side in SIDES:
        cur.execute(
            f"""DELETE FROM {side}_rows_{model:d} made WHERE NOT EXISTS (
                    SELECT FROM {side}_rows_{source:d} own WHERE own.id = made.id)"""
        )


def _race(cur: cursor, condition: str) -> RaceRecord | None:
    cur.execute(
        f"""SELECT race, settings, batch, started_at, ended_at, reason FROM races
            WHERE {condition} ORDER BY race DESC LIMIT 1"""
    )
    found = cur.fetchone()
    return None if found is None else RaceRecord(*found)
