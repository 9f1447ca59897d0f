"""The registry: which models there are, which one serves, and the transactions that change that.

Exactly one model serves. `serving` and `candidate` are the models that learn: the modeler commits
each micro-batch for all of them at once, so they have always learned the same ratings, and every
change here happens between two micro-batches: it locks the table ``models`` against all writers
first. A commit of the modeler waits for it, or it for the commit; the commit then sees which models
there are, and if they are not those that its tasks have learned nothing is committed and they are
learned anew. The lock is on the table, for a lock on rows would not show a commit that waited for
it the rows that have been added meanwhile.

Each change is announced on the channel `CHANNEL`. What has gone out of use is dropped
later (`Registry.sweep`), for predictors go on reading the rows of the model before until they
follow.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg2
from psycopg2.errors import LockNotAvailable
from psycopg2.extensions import connection, cursor

from recommender.errors import Refused, Unavailable, UnknownModel
from recommender.gate import Losses, Verdict, judge
from recommender.gate_settings import GateSettings
from storage.partitions import drop_partitions
from storage.postgres_client import connect
from storage.settings import PostgresSettings, PublishSettings

CHANNEL = "recommender_models"
"""Who changes which models learn, or which serves, notifies here (Postgres' ``NOTIFY``)."""

# First key of the advisory lock that whoever trains a model holds; the second is its number.
TRAINING_LOCK = 0x74726E

GRACE = 10.0
"""Seconds for which a retired model's rows stay: predictors follow within one or two."""

# A commit takes some milliseconds; one that hangs shall not keep everybody waiting in line.
_LOCK_PATIENCE_MS = 10_000
# Whoever waits to drop a table keeps readers of all models waiting as well.
_DROP_PATIENCE_MS = 300
# Micro-batches that are looked at, the latest of a model: at three a second the last hour.
_LOSSES = 10_000

_COLUMNS = (
    "model, status, parent, settings, data, created_at, served_at, retired_at, joined, batch, "
    "rating_count, coalesce(trained_to, '{}'), metrics, reason"
)


@dataclass(frozen=True)
class Version:
    """One model as the registry has it.

    Attributes
    ----------
    model : int
    status : {'training', 'candidate', 'serving', 'retired'}
    parent : int or None
        The model that served, or was copied, when it was made.
    settings : mapping
    data : str
        Where its ratings come from, in words.
    created_at : datetime
    served_at, retired_at : datetime or None
        When it last began to serve, and when it went out of use.
    joined : int
        The micro-batch after which it learns with the stream.
    batch : int
        The last micro-batch that it has learned.
    ratings : int
        Learned, those of its training included.
    trained_to : mapping
        Offsets of the snapshot that it was trained from; empty where it learned from the stream
        alone.
    metrics : mapping
        Figures of its training.
    reason : str
        Why it has its status.
    """

    model: int
    status: str
    parent: int | None
    settings: Mapping[str, Any]
    data: str
    created_at: datetime
    served_at: datetime | None
    retired_at: datetime | None
    joined: int
    batch: int
    ratings: int
    trained_to: Mapping[str, Any]
    metrics: Mapping[str, Any]
    reason: str

    @property
    def learns(self) -> bool:
        """Whether the modeler learns every micro-batch for it."""
        return self.status in ("candidate", "serving")


@dataclass(frozen=True)
class Judged:
    """A model and how it does beside the serving one.

    Attributes
    ----------
    version : Version
    losses : Losses
        Of the latest micro-batches that both have tested; the serving model beside itself.
    verdict : Verdict or None
        Of the publish gate; for candidates alone.
    """

    version: Version
    losses: Losses
    verdict: Verdict | None

    def described(self) -> dict[str, Any]:
        """As JSON has it: what ``GET /models`` and ``python -m modeler models`` answer."""
        version = self.version
        own, beside = self.losses.rmse() or (None, None)
        verdict = self.verdict
        return {
            "model": version.model,
            "status": version.status,
            "parent": version.parent,
            "created_at": version.created_at.isoformat(),
            "served_at": version.served_at.isoformat() if version.served_at else None,
            "retired_at": version.retired_at.isoformat() if version.retired_at else None,
            "joined": version.joined,
            "settings": dict(version.settings),
            "data": version.data,
            "ratings": version.ratings,
            "trained_to": dict(version.trained_to),
            "metrics": dict(version.metrics),
            "prequential": {
                "ratings": self.losses.total,
                "rmse": own,
                "rmse_serving": beside,
            },
            "gate": {
                "state": verdict.state if verdict else "none",
                "reason": verdict.reason if verdict else "",
            },
            "reason": version.reason,
        }


class Registry:
    """A connection to Postgres that reads and changes which models there are.

    Parameters
    ----------
    settings : PostgresSettings

    Raises
    ------
    Unavailable
        If Postgres does not answer, here or in any method.
    """

    def __init__(self, settings: PostgresSettings) -> None:
        self._connection = connect(settings)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[cursor]:
        """A transaction without a lock; errors of Postgres are `Unavailable`."""
        with reading(self._connection) as cur:
            yield cur

    @contextmanager
    def changing(self) -> Iterator[cursor]:
        """A transaction between two micro-batches; see `changing`."""
        with changing(self._connection) as cur:
            yield cur

    def models(self) -> list[Version]:
        """All models, the latest first."""
        with reading(self._connection) as cur:
            return _versions(cur)

    def model(self, model: int) -> Version:
        """One model.

        Raises
        ------
        UnknownModel
        """
        with reading(self._connection) as cur:
            return _version(cur, model)

    def serving(self) -> Version | None:
        """The model that serves; None before the first."""
        return next((one for one in self.models() if one.status == "serving"), None)

    def judged(self, settings: GateSettings, model: int | None = None) -> list[Judged]:
        """All models, or one, the latest first, each beside the serving one.

        Raises
        ------
        UnknownModel
        """
        with reading(self._connection) as cur:
            versions = _versions(cur)
            serving = next((one for one in versions if one.status == "serving"), None)
            if model is not None:
                versions = [_version(cur, model)]
            return [_judged(cur, one, serving, settings) for one in versions]

    def promote(
        self,
        model: int,
        settings: PublishSettings,
        *,
        force: bool = False,
        written: Callable[[], object] = lambda: None,
    ) -> Verdict:
        """Put a candidate in service; the model that served goes on learning, for a rollback.

        Of the models that served before, ``keep_models`` are kept; older ones are retired.

        Parameters
        ----------
        model : int
        settings : PublishSettings
        force : bool
            Whatever the gate says.
        written : callable
            Called when all is written and nothing is committed.

        Returns
        -------
        Verdict
            Of the gate.

        Raises
        ------
        Refused
            If the model is no candidate, or the gate does not let it pass; nothing was changed.
        UnknownModel
        """
        with changing(self._connection) as cur:
            candidate, serving = _version(cur, model), _serving(cur)
            if candidate.status != "candidate":
                raise Refused(f"model {model} is {candidate.status}; only a candidate is promoted")
            verdict = judge(_losses(cur, candidate, serving), settings)
            if verdict.state != "passed" and not force:
                raise Refused(
                    f"model {model} has not passed the gate ({verdict.state}): "
                    f"{verdict.reason}; it can be forced"
                )
            why = "passed the gate" if verdict.state == "passed" else f"forced; {verdict.state}"
            _serve(cur, candidate, serving, f"{why}: {verdict.reason}")
            self._keep(cur, settings.keep_models)
            written()
        return verdict

    def rollback(self, written: Callable[[], object] = lambda: None) -> int:
        """Put the model that served before back in service; `written` as in `promote`.

        Returns
        -------
        int
            Its number.

        Raises
        ------
        Refused
            If none is kept.
        """
        with changing(self._connection) as cur:
            before = _served_before(cur)
            if not before:
                raise Refused("no model that served before is kept")
            serving = _serving(cur)
            _serve(
                cur, _version(cur, before[0]), serving, f"rolled back from model {serving.model}"
            )
            written()
        return before[0]

    def retire(
        self,
        model: int,
        reason: str = "retired by hand",
        written: Callable[[], object] = lambda: None,
    ) -> None:
        """Take a model out of use; what is written about it stays. `written` as in `promote`.

        Raises
        ------
        Refused
            If it serves, or is retired already.
        UnknownModel
        """
        with changing(self._connection) as cur:
            status = _version(cur, model).status
            if status == "serving":
                raise Refused(f"model {model} serves; promote another one first")
            if status == "retired":
                raise Refused(f"model {model} is retired already")
            retire(cur, [model], reason)
            written()

    def explain(self, model: int, reason: str) -> None:
        """Write why a model has its status."""
        with reading(self._connection) as cur:
            cur.execute(
                "UPDATE models SET reason = %s WHERE model = %s AND reason <> %s",
                (reason, model, reason),
            )

    def retire_abandoned(self) -> list[int]:
        """Retire models in training whose trainer is gone; their numbers."""
        with reading(self._connection) as cur:
            if not _abandoned(cur):
                return []  # as nearly always: nobody has to wait, or is told
        with changing(self._connection) as cur:
            gone = _abandoned(cur)
            retire(cur, gone, "its training did not end: the trainer is gone")
        return gone

    def sweep(
        self, grace: float = GRACE, written: Callable[[], object] = lambda: None
    ) -> list[int]:
        """Drop the rows of models that have been retired for some time.

        Safe to repeat; where somebody is reading for long it is left to the next one.

        Parameters
        ----------
        grace : float
            Seconds since they were retired.
        written : callable
            Called when a model's rows are dropped and nothing is committed.

        Returns
        -------
        list of int
            Whose rows were dropped.
        """
        with reading(self._connection) as cur:
            cur.execute(
                """SELECT model FROM models WHERE status = 'retired'
                   AND (retired_at IS NULL OR retired_at <= now() - make_interval(secs => %s))
                   AND coalesce(to_regclass('user_rows_' || model),
                                to_regclass('item_rows_' || model)) IS NOT NULL
                   ORDER BY model""",
                (grace,),
            )
            due = [model for (model,) in cur.fetchall()]
        dropped = []
        for model in due:
            with suppress(LockNotAvailable), self._connection, self._connection.cursor() as cur:
                cur.execute(f"SET LOCAL lock_timeout = {_DROP_PATIENCE_MS}")
                drop_partitions(cur, model)
                written()
                dropped.append(model)
        return dropped

    def _keep(self, cur: cursor, count: int) -> None:
        retire(cur, _served_before(cur)[count:], f"only {count} that served before are kept")


@contextmanager
def reading(opened: connection) -> Iterator[cursor]:
    """A transaction without a lock; errors of Postgres are `Unavailable`."""
    try:
        with opened, opened.cursor() as cur:
            yield cur
    except psycopg2.OperationalError as error:
        raise Unavailable("Postgres", str(error).strip()) from error


@contextmanager
def changing(opened: connection) -> Iterator[cursor]:
    """A transaction between two micro-batches, announced when it commits.

    Raises
    ------
    Unavailable
        If a micro-batch has been in its commit for ten seconds, or Postgres does not answer.
    """
    with reading(opened) as cur:
        cur.execute(f"SET LOCAL lock_timeout = {_LOCK_PATIENCE_MS}")
        cur.execute("LOCK TABLE models IN EXCLUSIVE MODE")
        yield cur
        cur.execute(f"NOTIFY {CHANNEL}")


def retire(cur: cursor, models: Sequence[int], reason: str) -> None:
    """Retire models, in a transaction that `changing` has begun."""
    cur.execute(
        """UPDATE models SET status = 'retired', retired_at = now(), reason = %s
           WHERE model = ANY(%s)""",
        (reason, list(models)),
    )
    cur.execute("DELETE FROM offsets WHERE model = ANY(%s)", (list(models),))


def new_model(cur: cursor, settings: Mapping[str, Any], data: str, parent: int, reason: str) -> int:
    """Note a model that is about to be trained; its number."""
    cur.execute(
        """INSERT INTO models (model, status, settings, data, parent, reason)
           SELECT max(model) + 1, 'training', %s, %s, %s, %s FROM models RETURNING model""",
        (json.dumps(dict(settings)), data, parent, reason),
    )
    return int(_one(cur)[0])


def _abandoned(cur: cursor) -> list[int]:
    cur.execute(
        """SELECT model FROM models m WHERE status = 'training' AND NOT EXISTS (
               SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND classid::bigint = %s AND objid::bigint = m.model)""",
        (TRAINING_LOCK,),
    )
    return [model for (model,) in cur.fetchall()]


def _serve(cur: cursor, candidate: Version, serving: Version, reason: str) -> None:
    cur.execute(
        """UPDATE models SET status = 'candidate', served_at = coalesce(served_at, created_at),
               reason = %s WHERE model = %s""",
        (
            f"served until model {candidate.model} took its place; kept for a rollback",
            serving.model,
        ),
    )
    cur.execute(
        "UPDATE models SET status = 'serving', served_at = clock_timestamp(), reason = %s "
        "WHERE model = %s",
        (reason, candidate.model),
    )


def _served_before(cur: cursor) -> list[int]:
    """Candidates that have served, the last one first."""
    cur.execute(
        """SELECT model FROM models WHERE status = 'candidate' AND served_at IS NOT NULL
           ORDER BY served_at DESC, model DESC"""
    )
    return [model for (model,) in cur.fetchall()]


def _versions(cur: cursor) -> list[Version]:
    cur.execute(f"SELECT {_COLUMNS} FROM models ORDER BY model DESC")
    return [Version(*row) for row in cur.fetchall()]


def _version(cur: cursor, model: int) -> Version:
    cur.execute(f"SELECT {_COLUMNS} FROM models WHERE model = %s", (model,))
    found = cur.fetchone()
    if found is None:
        raise UnknownModel(model)
    return Version(*found)


def _serving(cur: cursor) -> Version:
    cur.execute(f"SELECT {_COLUMNS} FROM models WHERE status = 'serving'")
    found = cur.fetchone()
    if found is None:
        raise Refused("there is no serving model yet")
    return Version(*found)


def _judged(
    cur: cursor, version: Version, serving: Version | None, settings: GateSettings
) -> Judged:
    if serving is None or not version.learns:
        return Judged(version, _NO_LOSSES, None)
    losses = _losses(cur, version, serving)
    verdict = judge(losses, settings) if version.status == "candidate" else None
    return Judged(version, losses, verdict)


_NO_LOSSES = Losses(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


def _losses(cur: cursor, candidate: Version, serving: Version) -> Losses:
    """Of the latest micro-batches that both have tested before they learned them."""
    cur.execute(
        """SELECT ratings, squared_error, beside FROM (
               SELECT c.batch, c.ratings, c.squared_error, s.squared_error AS beside
               FROM micro_batches c JOIN micro_batches s ON s.model = %s AND s.batch = c.batch
               WHERE c.model = %s AND c.batch > %s AND c.ratings > 0
               ORDER BY c.batch DESC LIMIT %s) latest
           ORDER BY batch""",
        (serving.model, candidate.model, max(candidate.joined, serving.joined), _LOSSES),
    )
    rows = cur.fetchall()
    if not rows:
        return _NO_LOSSES
    ratings, own, beside = zip(*rows, strict=True)
    return Losses(np.array(ratings, np.int64), np.array(own), np.array(beside))


def _one(cur: cursor) -> tuple[Any, ...]:
    found = cur.fetchone()
    assert found is not None
    return found
