"""The streaming modeler: Kafka → micro-batches → one commit each, exactly once.

What has been learned is known to Postgres alone. Spark starts from those offsets, with a fresh
checkpoint each time, so neither a lost checkpoint nor a kill at any moment changes a result.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import structlog
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from tenacity import Retrying, retry_if_not_exception_type, stop_when_event_set
from tenacity import wait_random_exponential as exponential
from tenacity.nap import sleep_using_event

from modeler.block import REPORT_SCHEMA, Report, Task, learner, warm_up
from modeler.letters import LetterCarrier
from modeler.metrics import Metrics
from modeler.projector import Committed, Projector
from modeler.settings import ModelerSettings
from modeler.spark import session
from modeler.steps import Step, reached
from recommender.errors import Fenced, MissingRequirement, Unavailable
from recommender.model_settings import ModelSettings
from storage.as_of import AsOf, Offsets
from storage.staging import SLOTS
from storage.topics import end_offsets
from storage.truth import Commit, Lease, Truth

log = structlog.get_logger(__name__)

# A run that held this long is not a failed start: the pauses between attempts begin anew.
_STEADY = 60.0
# The longest poll of Kafka's consumer at the end of a partition; its default, 500 ms, is the
# largest part of the latency of live ratings (measured: p99 1,170 ms become 374).
_FETCH_WAIT_MS = 20


class SparkEnded(Unavailable):
    """Spark's Java process has ended; a process has only one, so a new modeler must be started."""


class Stream:
    """Learns the serving model from the log until told to stop.

    Parameters
    ----------
    settings : ModelerSettings
    """

    def __init__(self, settings: ModelerSettings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._wake = threading.Event()  # set by `stop`, and when a query has ended
        self._metrics = Metrics()
        self._advanced = False  # whether the last hold on the model has committed anything

    def stop(self) -> None:
        """End `run` soon; may be called from a signal handler."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Learn; lost connections are taken up again with growing pauses.

        Raises
        ------
        Fenced
            If another modeler holds the model, or has taken it over.
        SparkEnded
        """
        settings = self._settings
        if settings.modeler_metrics_port:
            self._metrics.serve(settings.modeler_host, settings.modeler_metrics_port)
        if settings.scratch is not None:
            settings.scratch.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="modeler-", dir=settings.scratch))
        try:
            while not self._stopping.is_set():
                scratch.mkdir(parents=True, exist_ok=True)
                spark = session(settings, scratch)
                try:
                    folders = [scratch, *scratch.iterdir()]
                    threading.Thread(target=_warm_up, args=(spark,), daemon=True).start()
                    while not self._stopping.is_set() and _are_there(folders):
                        self._hold_on(spark, folders)
                finally:
                    _stop(spark)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _hold_on(self, spark: SparkSession, folders: list[Path]) -> None:
        """Run until stopped, or Spark's folders are lost; repeat failures with growing pauses.

        It returns, and so the pauses begin anew, where a run was steady or learned something.
        The first of the folders takes the checkpoints; the others are Spark's own, which cannot go
        on without them.
        """
        for attempt in Retrying(
            retry=retry_if_not_exception_type((Fenced, MissingRequirement, SparkEnded)),
            wait=exponential(multiplier=0.2, max=10),
            stop=stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
            # Asked to stop while a store is away: that is no failure.
            retry_error_callback=lambda _: None,
        ):
            started = time.monotonic()
            try:
                with attempt:
                    try:
                        self._once(spark, folders[0])
                    except Exception as failure:
                        if _java_has_ended(spark):
                            raise SparkEnded("Spark", "its Java process has ended") from failure
                        raise
            finally:
                if attempt.retry_state.outcome and attempt.retry_state.outcome.failed:
                    error = attempt.retry_state.outcome.exception()
                    log.warning("learning interrupted", reason=_first_line(error))
            steady = time.monotonic() - started > _STEADY
            if steady or self._advanced or not _are_there(folders):
                return

    def _once(self, spark: SparkSession, scratch: Path) -> None:
        settings = self._settings
        self._advanced = False
        with closing(Truth(settings)) as truth:
            model = truth.serving_or_new_model(_model_part(settings), settings.data)
            lease = truth.take_over(model, settings.takeover_patience)
            learning = Learning(settings, lease, truth, self._metrics)
            try:
                self._wake.clear()
                if not self._stopping.is_set():
                    learning.run(spark, scratch, self._wake)
            finally:
                self._advanced = learning.advanced
                learning.close()


class Learning:
    """One hold on one model: from taking the lease to losing it or stopping.

    Parameters
    ----------
    settings : ModelerSettings
    lease : Lease
    truth : Truth
        Holds the lease's lock.
    metrics : Metrics
    """

    def __init__(
        self, settings: ModelerSettings, lease: Lease, truth: Truth, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._model_settings = ModelSettings(**lease.settings)
        _warn_of_differences(self._model_settings, settings)
        self._lease = lease
        self._truth = truth
        self._metrics = metrics
        self._as_of = lease.as_of
        self._failure: BaseException | None = None
        self._wake = threading.Event()
        self._projector = Projector(lease, self._model_settings.format, settings)
        self._letters = LetterCarrier(settings, settings)

    @property
    def advanced(self) -> bool:
        """Whether a micro-batch has been committed."""
        return self._as_of.batch > self._lease.as_of.batch

    def close(self) -> None:
        """Let what is committed reach Redis, then stop the threads."""
        self._projector.close()
        self._letters.close()

    def run(self, spark: SparkSession, scratch: Path, wake: threading.Event) -> None:
        """Learn micro-batch after micro-batch until `wake` is set, or the stream has ended.

        Raises
        ------
        Fenced
            If another modeler has taken the model over.
        Exception
            Whatever ended the stream; all that was committed stands.
        """
        self._wake = wake
        checkpoint = tempfile.mkdtemp(prefix="checkpoint-", dir=scratch)
        query = self._start(spark, checkpoint)
        log.info("learning", model=self._lease.model, batch=self._as_of.batch)
        watcher = threading.Thread(target=_await_end, args=(query, wake), daemon=True)
        watcher.start()
        wake.wait()
        failure = self._failure or query.exception()  # before `stop` makes one of its own
        query.stop()
        watcher.join(10.0)
        shutil.rmtree(checkpoint, ignore_errors=True)
        if failure is not None:
            raise failure

    def _start(self, spark: SparkSession, checkpoint: str) -> StreamingQuery:
        settings = self._settings
        records = (
            spark.readStream.format("kafka")
            .option("kafka.bootstrap.servers", settings.kafka_bootstrap_servers)
            .option("subscribe", f"{settings.ratings_topic},{settings.items_topic}")
            .option("startingOffsets", self._starting_offsets())
            .option("maxOffsetsPerTrigger", settings.max_batch)
            .option("kafka.fetch.max.wait.ms", _FETCH_WAIT_MS)
            .load()
        )
        # No trigger: the next micro-batch begins when the last one has ended.
        return (
            records.writeStream.foreachBatch(self._learn)
            .option("checkpointLocation", checkpoint)
            .start()
        )

    def _starting_offsets(self) -> str:
        """The stored offsets, and the beginning of each partition that has none."""
        settings = self._settings
        earliest = -2  # Spark's word for it
        return json.dumps(
            {
                topic: {
                    str(partition): self._as_of.offsets.get(topic, {}).get(partition, earliest)
                    for partition in end_offsets(settings, topic)
                }
                for topic in (settings.ratings_topic, settings.items_topic)
            }
        )

    def _learn(self, records: DataFrame, _: int) -> None:
        """Learn one micro-batch (called by Spark).

        Steps; a kill in any of them leaves the truth as it was before or after step 3:

        1. await that the slot of staging is free: its last batch is projected;
        2. a task learns and stages; it has no effect yet;
        3. commit: rows, history, measurements and offsets in one transaction;
        4. hand the batch to the projector, which brings it to Redis.
        """
        started = time.perf_counter()
        try:
            batch = self._as_of.batch + 1
            slot = batch % SLOTS
            self._projector.await_done(batch - SLOTS)
            self._truth.empty_slot(slot)

            reached(Step.TASK_AHEAD)
            reports = self._run_task(records, slot)
            if not reports:
                return
            as_of = self._after(reports, batch)
            seconds = _added(reports)
            seconds["spark"] = time.perf_counter() - started - sum(seconds.values())

            staged = [report.staged for report in reports]
            commit = Commit(
                as_of=as_of,
                slot=slot,
                staged=staged,
                errors=reports[0].errors,
                duplicates=reports[0].duplicates,
                seconds=seconds,
            )
            reached(Step.COMMIT_AHEAD)
            committing = time.perf_counter()
            self._as_of = self._truth.commit(
                self._lease, commit, merged=lambda: reached(Step.MERGED)
            )
            reached(Step.COMMITTED)
            self._metrics.committed(commit, time.perf_counter() - committing)

            self._projector.submit(Committed(self._as_of, slot, staged))
            if commit.total("dead_letters"):
                self._letters.wake()
        except BaseException as error:
            self._failure = error
            # Spark need not notice: its thread has died of a stack overflow while telling of this
            # error, and its query was waited for in vain (seen with workers that were killed).
            self._wake.set()
            raise

    def _run_task(self, records: DataFrame, slot: int) -> list[Report]:
        task = Task(
            model=self._lease.model,
            fence=self._lease.fence,
            slot=slot,
            next_offsets=self._as_of.offsets,
            total=self._as_of.rating_sum,
            count=self._as_of.rating_count,
            settings=self._model_settings,
            dsn=self._settings.postgres_dsn,
            ratings_topic=self._settings.ratings_topic,
        )
        columns = records.select("topic", "partition", "offset", "timestamp", "key", "value")
        rows = columns.coalesce(1).mapInArrow(learner(task), REPORT_SCHEMA).collect()
        return [Report.decode(row["report"]) for row in rows]

    def _after(self, reports: list[Report], batch: int) -> AsOf:
        (report,) = reports
        return AsOf(
            batch=batch,
            offsets=_advanced(self._as_of.offsets, report.next_offsets),
            rating_sum=report.total,
            rating_count=report.count,
        )


def _are_there(folders: list[Path]) -> bool:
    return all(folder.exists() for folder in folders)


def _java_has_ended(spark: SparkSession) -> bool:
    gateway = spark.sparkContext._gateway
    java = getattr(gateway, "proc", None)
    return java is not None and java.poll() is not None


def _stop(spark: SparkSession) -> None:
    try:
        spark.stop()
    except Exception as error:  # there is nothing to stop where Java has ended
        log.debug("Spark not stopped", reason=_first_line(error))


def _warm_up(spark: SparkSession) -> None:
    """Start a worker and load its kernels while the stream is being set up."""
    try:
        spark.range(1).coalesce(1).mapInArrow(warm_up, REPORT_SCHEMA).collect()
    except Exception as error:  # the first micro-batch will do it, or meet the same trouble
        log.debug("not warmed up", reason=_first_line(error))


def _await_end(query: StreamingQuery, wake: threading.Event) -> None:
    try:
        query.awaitTermination()
    except Exception as error:  # the query has failed, or Java has ended
        log.debug("the query has failed", reason=_first_line(error))
    finally:
        wake.set()


def _advanced(before: Offsets, after: Offsets) -> dict[str, dict[int, int]]:
    offsets = {topic: dict(partitions) for topic, partitions in before.items()}
    for topic, partitions in after.items():
        known = offsets.setdefault(topic, {})
        for partition, following in partitions.items():
            known[partition] = max(following, known.get(partition, 0))
    return offsets


def _added(reports: list[Report]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for report in reports:
        for step, duration in report.seconds.items():
            seconds[step] = seconds.get(step, 0.0) + duration
    return seconds


def _model_part(settings: ModelSettings) -> dict[str, object]:
    return settings.model_dump(include=set(ModelSettings.model_fields), mode="json")


def _warn_of_differences(stored: ModelSettings, given: ModelSettings) -> None:
    """A model keeps the settings that it was made with; say so where others are asked for."""
    for name in ModelSettings.model_fields:
        if getattr(stored, name) != getattr(given, name):
            log.warning(
                "the model keeps its own setting; a new model is needed to change it",
                setting=name,
                kept=getattr(stored, name),
                asked=getattr(given, name),
            )


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    if len(lines) > 1 and lines[0].startswith("An error occurred while calling"):
        del lines[0]  # the reason is in Java's own first line
    return (lines or [type(error).__name__])[0].removeprefix(": ")[:300]
