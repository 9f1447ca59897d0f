"""Prometheus metrics of the streaming modeler."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from modeler import health
from storage.truth import Commit

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """What an operator watches."""

    def __init__(self) -> None:
        self._ratings = Counter("modeler_ratings_total", "Ratings learned.")
        self._duplicates = Counter(
            "modeler_duplicates_total", "Ratings passed over: their event id had been learned."
        )
        self._dead_letters = Counter(
            "modeler_dead_letters_total", "Records that could not be read."
        )
        self._withdrawals = Counter(
            "modeler_withdrawals_total", "Withdrawals learned: of a rating, or of all of a user's."
        )
        self._batch = Gauge("modeler_micro_batch", "Number of the last micro-batch committed.")
        self._rmse = Gauge("modeler_prequential_rmse", "RMSE of the last micro-batch.")
        self._seconds = Histogram(
            "modeler_step_seconds",
            "Duration of a micro-batch's steps.",
            labelnames=["step"],
            buckets=_SECONDS,
        )

    def serve(self, host: str, port: int) -> None:
        """Answer at ``/metrics`` and the health routes from a thread."""
        health.serve(host, port)

    def committed(self, commit: Commit, serving: int, commit_seconds: float) -> None:
        """Take in a committed micro-batch, with the errors of the serving model."""
        errors = commit.errors[serving]
        self._ratings.inc(errors.ratings)
        self._duplicates.inc(commit.duplicates)
        self._dead_letters.inc(commit.total("dead_letters"))
        self._withdrawals.inc(commit.total("withdrawals"))
        self._batch.set(commit.as_of.batch)
        if errors.ratings:
            self._rmse.set(errors.rmse)
        for step, seconds in {**commit.seconds, "commit": commit_seconds}.items():
            self._seconds.labels(step).observe(seconds)
