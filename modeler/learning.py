"""One hold on the models: micro-batch after micro-batch, live or of a backlog, as the lag says."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Protocol

import structlog
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from modeler.backlog import Backlog
from modeler.committer import Committer
from modeler.health import HEALTH
from modeler.letters import LetterCarrier
from modeler.listening import Listener
from modeler.live import Live
from modeler.metrics import Metrics
from modeler.projector import Projector
from modeler.settings import ModelerSettings
from modeler.steps import Step, reached
from modeler.task import Task, Version
from recommender.model_settings import ModelSettings
from storage.as_of import records_between
from storage.kafka_client import source_security
from storage.topics import end_offsets
from storage.truth import Commit, Lease, Truth

log = structlog.get_logger(__name__)

# Spark's consumers ask for what is there already. A prefetch that waits at the end of a partition
# would only hold up the next request: by default 500 ms, the largest part of the latency.
_FETCH_WAIT_MS = 1
# After each so many records a consumer asks the broker again. At Kafka's own 500 the broker spends
# seven times as much on a backlog, a microsecond of a core a rating on a busy machine.
_POLL_RECORDS = 10_000
# The truth knows the offsets, so Spark's own log of them may be written beside the learning and as
# good as never (measured: 30 ms a micro-batch less). The check is for sinks that rely on it.
_PROGRESS = {
    "asyncProgressTrackingEnabled": "true",
    "_asyncProgressTrackingOverrideSinkSupportCheck": "true",
    "asyncProgressTrackingCheckpointIntervalMs": str(3_600_000),
}


class Way(Protocol):
    """A way to learn micro-batches: `Live` or `Backlog`."""

    largest: int

    def plan(self, records: DataFrame) -> DataFrame:
        """What Spark does with each micro-batch's records."""
        ...

    def learn(self, planned: DataFrame, committer: Committer) -> Commit | None:
        """Learn and stage a micro-batch; nothing where it has no record."""
        ...


class Learning:
    """One hold on the models: from taking the lease to losing it, a change of models, or stopping.

    Parameters
    ----------
    settings : ModelerSettings
    lease : Lease
    truth : Truth
        Holds the lease's lock.
    metrics : Metrics
    one_task : bool
        Whether each micro-batch must be seen by one task as a whole, whatever the backlog.
    """

    def __init__(
        self,
        settings: ModelerSettings,
        lease: Lease,
        truth: Truth,
        metrics: Metrics,
        one_task: bool = False,
    ) -> None:
        self._settings = settings
        versions = [Version(model, ModelSettings(**own)) for model, own in lease.models.items()]
        _warn_of_differences(versions[0].settings, settings)
        self._lease = lease
        task = Task(
            versions=versions,
            fence=lease.fence,
            dsn=settings.postgres_dsn,
            ratings_topic=settings.ratings_topic,
        )
        self._live = Live(task, settings.max_batch)
        self._backlog = Backlog(task, settings.backlog_batch, settings.blocks)
        self._one_task = one_task
        self._way: Way = self._live
        self._changing = False  # the way; the running query has no more to do
        self._leaving = False
        self._failure: BaseException | None = None
        self._wake = threading.Event()
        self._at_work = threading.Lock()  # held during a micro-batch
        self._letters = LetterCarrier(settings, settings)
        self._projectors = [Projector(lease, version, settings) for version in versions]
        self._committer = Committer(
            truth, lease, self._projectors, self._letters, metrics, self._fail
        )
        self._listener = Listener(settings, lease, self._leave, self._fail)

    @property
    def advanced(self) -> bool:
        """Whether a micro-batch has been committed."""
        return self._committer.as_of.batch > self._lease.as_of.batch

    def close(self) -> None:
        """Let what is staged be committed and reach Redis, then stop the threads."""
        self._listener.close()
        self._committer.close()
        for projector in self._projectors:
            projector.close()
        self._letters.close()

    def behind(self) -> int:
        """Records of all topics that are in the log, but not learned.

        Raises
        ------
        Unavailable
            If Kafka does not answer.
        """
        return sum(
            self._lag(topic) for topic in (self._settings.ratings_topic, self._settings.items_topic)
        )

    def run(
        self, spark: SparkSession, scratch: Path, stopping: threading.Event, wake: threading.Event
    ) -> None:
        """Learn micro-batch after micro-batch until told to stop, or other models are to learn.

        Parameters
        ----------
        stopping, wake : Event
            Who sets the first sets the second as well.

        Raises
        ------
        Fenced
            If another modeler has taken over.
        ModelsChanged
            If that was noticed by a commit, not between two micro-batches.
        Exception
            Whatever ended the stream; all that was committed stands.
        """
        self._wake = wake
        self._changing = True
        while self._changing and not stopping.is_set():
            self._changing = False
            wake.clear()
            if stopping.is_set() or self._leaving:
                return
            self._way = self._fitting()
            self._run_query(spark, scratch)

    def _run_query(self, spark: SparkSession, scratch: Path) -> None:
        checkpoint = tempfile.mkdtemp(prefix="checkpoint-", dir=scratch)
        query = self._start(spark, checkpoint)
        log.info(
            "learning",
            model=self._lease.serving,
            others=[model for model in self._lease.models if model != self._lease.serving],
            batch=self._committer.expected.batch,
            way=type(self._way).__name__.lower(),
        )
        watcher = threading.Thread(target=_await_end, args=(query, self._wake), daemon=True)
        watcher.start()
        HEALTH.started(self.behind)
        self._wake.wait()
        HEALTH.stopped()
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
            .options(**source_security(settings))
            .option("subscribe", f"{settings.ratings_topic},{settings.items_topic}")
            .option("startingOffsets", self._starting_offsets())
            .option("maxOffsetsPerTrigger", self._way.largest)
            .option("kafka.fetch.max.wait.ms", _FETCH_WAIT_MS)
            .option("kafka.max.poll.records", _POLL_RECORDS)
            .load()
            .select("topic", "partition", "offset", "timestamp", "key", "value")
        )
        # No trigger: the next micro-batch begins when the last one has ended.
        return (
            self._way.plan(records)
            .writeStream.foreachBatch(self._learn)
            .options(**_PROGRESS)
            .option("checkpointLocation", checkpoint)
            .start()
        )

    def _starting_offsets(self) -> str:
        """The offsets learned, and the beginning of each partition that has none."""
        settings = self._settings
        learned = self._committer.expected.offsets
        earliest = -2  # Spark's word for it
        return json.dumps(
            {
                topic: {
                    str(partition): learned.get(topic, {}).get(partition, earliest)
                    for partition in end_offsets(settings, topic)
                }
                for topic in (settings.ratings_topic, settings.items_topic)
            }
        )

    def _learn(self, planned: DataFrame, _: int) -> None:
        """Learn one micro-batch (called by Spark).

        Steps; a kill in any of them leaves the truth as it was before or after the commit:

        1. tasks learn and stage; it has no effect yet;
        2. the committer commits rows, history, measurements and offsets in one transaction, while
           Spark goes on to the next micro-batch;
        3. it hands the batch to the projector, which brings it to Redis.
        """
        try:
            with self._at_work:
                if not (self._changing or self._leaving):
                    self._learn_one(planned)
        except BaseException as error:
            # Spark need not notice: its thread has died of a stack overflow while telling of this
            # error, and its query was waited for in vain (seen with workers that were killed).
            self._fail(error)
            raise

    def _learn_one(self, planned: DataFrame) -> None:
        before = self._committer.expected.offsets
        reached(Step.TASK_AHEAD)
        commit = self._way.learn(planned, self._committer)
        if commit is not None:
            self._committer.submit(commit)
            self._change_way_if_due(records_between(before, commit.as_of.offsets))

    def _leave(self) -> None:
        """End this hold between two micro-batches: other models learn, or another one serves."""
        with self._at_work:
            self._leaving = True
            self._wake.set()

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._wake.set()

    def _change_way_if_due(self, records: int) -> None:
        """Ask for the lag where it can be of another way than this one.

        A small micro-batch was all there was. Spark rounds a full one down for each partition.
        """
        may_differ = self._way is self._backlog or 2 * records >= self._way.largest
        if may_differ and self._fitting() is not self._way:
            self._changing = True
            self._wake.set()

    def _fitting(self) -> Way:
        if self._one_task:
            return self._live
        lag = self._lag(self._settings.ratings_topic)
        return self._backlog if lag >= self._settings.backlog else self._live

    def _lag(self, topic: str) -> int:
        ends = {topic: end_offsets(self._settings, topic)}
        return records_between(self._committer.expected.offsets, ends)


def _await_end(query: StreamingQuery, wake: threading.Event) -> None:
    try:
        query.awaitTermination()
    except Exception as error:  # the query has failed, or Java has ended
        log.debug("the query has failed", reason=str(error).partition("\n")[0])
    finally:
        wake.set()


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
