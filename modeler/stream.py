"""The streaming modeler: Kafka → micro-batches → one commit each, exactly once.

What has been learned is known to Postgres alone. Spark starts from those offsets, with a fresh
checkpoint each time, so neither a lost checkpoint nor a kill at any moment changes a result.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import structlog
from pyspark.sql import SparkSession
from tenacity import Retrying, retry_if_not_exception_type, stop_when_event_set
from tenacity import wait_random_exponential as exponential
from tenacity.nap import sleep_using_event

from modeler.block import REPORT_SCHEMA, load_kernels, warm_up
from modeler.keeping import Keeper
from modeler.lag import telling
from modeler.learning import Learning
from modeler.metrics import Metrics
from modeler.settings import ModelerSettings
from modeler.spark import session
from modeler.zygote import Zygote
from recommender.errors import Fenced, MissingRequirement, Unavailable
from recommender.model_settings import ModelSettings
from storage.truth import EventTwice, ModelsChanged, Truth

log = structlog.get_logger(__name__)

# A run that held this long is not a failed start: the pauses between attempts begin anew.
_STEADY = 60.0


class SparkEnded(Unavailable):
    """Spark's Java process has ended; a process has only one, so a new modeler must be started."""


class Stream:
    """Learns the serving model and its candidates from the log until told to stop.

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
        self._one_task = False  # whether the next one must let one task see each micro-batch

    def stop(self) -> None:
        """End `run` soon; may be called from a signal handler."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Learn; lost connections are taken up again with growing pauses.

        Raises
        ------
        Fenced
            If another modeler learns, or has taken over.
        SparkEnded
        """
        settings = self._settings
        if settings.scratch is not None:
            settings.scratch.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="modeler-", dir=settings.scratch))
        with ExitStack() as running:
            running.callback(shutil.rmtree, scratch, ignore_errors=True)
            zygote = _zygote(scratch)  # before there are threads
            if zygote is not None:
                running.callback(zygote.close)
            if settings.modeler_metrics_port:
                self._metrics.serve(settings.modeler_host, settings.modeler_metrics_port)
            running.enter_context(closing(Keeper(settings)))
            running.enter_context(telling(settings))
            while not self._stopping.is_set():
                scratch.mkdir(parents=True, exist_ok=True)
                spark = session(settings, scratch, None if zygote is None else zygote.address)
                try:
                    folders = [scratch, *scratch.iterdir()]
                    threading.Thread(target=_warm_up, args=(spark,), daemon=True).start()
                    while not self._stopping.is_set() and _are_there(folders):
                        self._hold_on(spark, folders)
                finally:
                    _stop(spark)

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
            truth.serving_or_new_model(_model_part(settings), settings.data)
            lease = truth.take_over(settings.takeover_patience)
            learning = Learning(settings, lease, truth, self._metrics, self._one_task)
            self._one_task = False
            try:
                learning.run(spark, scratch, self._stopping, self._wake)
            except EventTwice:
                self._one_task = True
                raise
            except ModelsChanged as change:
                log.info("taking hold anew", reason=str(change))
            finally:
                self._advanced = learning.advanced
                learning.close()


def _zygote(scratch: Path) -> Zygote | None:
    try:
        return Zygote(scratch, load_kernels)
    except OSError as error:
        log.warning("Spark's workers will import everything for themselves", reason=str(error))
        return None


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
    """Start a worker while the stream is being set up."""
    try:
        spark.range(1).coalesce(1).mapInArrow(warm_up, REPORT_SCHEMA).collect()
    except Exception as error:  # the first micro-batch will do it, or meet the same trouble
        log.debug("not warmed up", reason=_first_line(error))


def _model_part(settings: ModelSettings) -> dict[str, object]:
    return settings.model_dump(include=set(ModelSettings.model_fields), mode="json")


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    if len(lines) > 1 and lines[0].startswith("An error occurred while calling"):
        del lines[0]  # the reason is in Java's own first line
    return (lines or [type(error).__name__])[0].removeprefix(": ")[:300]
