"""A candidate made in SQL alone: a copy of the serving model's rows."""

from __future__ import annotations

import json
from contextlib import closing

import psycopg2

from storage.joining import become_candidate, serving_place
from storage.models import changing
from storage.partitions import make_partitions


def add_candidate(dsn: str, **settings: object) -> int:
    """Copy the serving model, with some settings of its own; the number of the copy."""
    with closing(psycopg2.connect(dsn)) as opened, changing(opened) as cur:
        place = serving_place(cur)
        cur.execute(
            """INSERT INTO models (model, status, settings, parent)
               SELECT max(model) + 1, 'training',
                      (SELECT settings FROM models WHERE model = %s) || %s::jsonb, %s
               FROM models RETURNING model""",
            (place.serving, json.dumps(settings), place.serving),
        )
        (model,) = cur.fetchone() or (0,)
        make_partitions(cur, model)
        for side in ("user", "item"):
            cur.execute(
                f"INSERT INTO {side}_rows_{model} SELECT {model}, id, n, batch, state "
                f"FROM {side}_rows_{place.serving}"
            )
        become_candidate(cur, model, place, "copied for a test")
    return int(model)
