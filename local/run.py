"""One run: everything started in the order that is quickest, shown, looked after, and ended."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from local import backlog, data
from local import jars as jar_sets
from local.learned import learned
from local.processes import Children
from local.settings import LocalSettings
from local.stack import Content, Stack
from local.supervisor import Death, Supervisor
from modeler import java as java_runtime
from recommender.errors import MissingRequirement

# Seconds without a micro-batch after which something is wrong: starting Spark takes some ten.
_NO_PROGRESS = 120.0
# Micro-batches that a backlog is learned in, so that one sees the error fall.
_BACKLOG_BATCHES = 10
_LOOK = 0.25  # seconds between two looks at how far the modeler is


class Run:
    """One run of the embedded stack.

    Parameters
    ----------
    settings : LocalSettings
    console : Console
    """

    def __init__(self, settings: LocalSettings, console: Console) -> None:
        self._settings = settings
        self._console = console

    def run(self) -> None:
        """Start everything, and keep it running until SIGINT or SIGTERM.

        Raises
        ------
        RecommenderError
            If something cannot be started; what had been started is ended.
        """
        begun = time.monotonic()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)
        try:
            children = Children(self._settings.state)
            supervisor = Supervisor(children, self._report)
            stack = None
            try:
                java = java_runtime.find(self._settings.state / "java")
                stack = Stack(
                    self._settings,
                    children,
                    java,
                    self._settings.state.resolve() / "jars",
                    supervisor,
                )
                self._start(stack, java)
                self._console.print(f"Started in {time.monotonic() - begun:.1f} s.\n")
                self._show_addresses(stack)
                threading.Event().wait()  # until a signal
            finally:
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_IGN)  # the end is under way
                with self._step("Ending"):
                    supervisor.release()
                    stack.close() if stack is not None else children.close()
        except KeyboardInterrupt:
            self._console.print("Ended; `make run` continues from here.")

    def _start(self, stack: Stack, java: java_runtime.Java) -> None:
        stack.check_ports()
        settings = self._settings
        # These two start while the jars come and the data are read.
        with self._step("Postgres and Redis"):
            stack.launch_store(stack.postgres)
            stack.launch_store(stack.redis)
        with self._step("Jars of Kafka and of Spark's connector"):
            jar_sets.ensure(settings.state.resolve() / "jars", java, settings.maven_repository)
        with self._step("Kafka"):
            stack.launch_store(stack.kafka)
        published = settings.state / "backlog-published"
        part = None
        with self._step("Data"):
            source = data.choose(settings)
            if not published.exists() or not source.ratings:
                part = backlog.cut(source.load(), source.backlog)
                source = source.counted(part.dataset)
        self._console.print(
            f"  {source.description}: {source.ratings:,} ratings, {source.titles:,} titles",
            style="bold yellow" if source.path == data.GENERATED else "",
        )
        content = Content(
            description=source.description,
            rating_min=source.rating_min,
            rating_max=source.rating_max,
            ready_after=source.older,
            max_batch=max(source.older // _BACKLOG_BATCHES, int(2 * settings.rate)),
        )
        stack.launch_web(content)
        with self._step("Topics and schema"):
            stack.prepare()
        data.remember(settings.state, source)
        stack.launch_model(content)
        if part is not None and not published.exists():
            with self._step("Publishing the catalogue and the backlog"):
                backlog.publish(part, stack.kafka_settings)
            published.touch()
        with self._step("Web services"):
            stack.await_service("ingest", stack.ingest_url)
            stack.await_service("frontend", stack.frontend_url, "live")
        self._await_backlog(stack, source.older)
        with self._step("Predictor"):
            stack.await_service("predictor", stack.predictor_url)
        if source.ratings > source.older:
            stack.launch_service(
                "traffic", content, module="local.traffic", finished=self._all_streamed
            )
        stack.launch_class_archive()

    def _await_backlog(self, stack: Stack, ratings: int) -> None:
        """Show the learning of the backlog, with its prequential errors, until it is done."""
        latest = learned(stack.postgres.dsn())
        if (latest is not None and latest.total >= ratings) or ratings == 0:
            return
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[errors]}"),
            console=self._console,
        ) as progress:
            task = progress.add_task("Learning the backlog", total=ratings, errors="")
            moved = time.monotonic()
            shown = -1
            while latest is None or latest.total < ratings:
                if time.monotonic() - moved > _NO_PROGRESS:
                    raise MissingRequirement(
                        f"The modeler has learned nothing for {_NO_PROGRESS:g} s; its log, "
                        f"{stack.services['modeler'].log}, ends:\n"
                        f"{stack.services['modeler'].log_end()}"
                    )
                time.sleep(_LOOK)
                latest = learned(stack.postgres.dsn())
                if latest is not None and latest.batch != shown:
                    shown, moved = latest.batch, time.monotonic()
                    errors = f"prequential RMSE {latest.rmse:.3f}, MAE {latest.mae:.3f}"
                    progress.update(task, completed=latest.total, errors=errors)
                    progress.console.print(
                        f"  micro-batch {latest.batch}: {latest.total:,} learned, {errors}",
                        style="dim",
                    )

    def _show_addresses(self, stack: Stack) -> None:
        table = Table.grid(padding=(0, 2))
        table.add_row("Frontend", stack.frontend_url)
        table.add_row("Ingest", f"{stack.ingest_url}/docs")
        table.add_row("Predictor", f"{stack.predictor_url}/docs")
        table.add_row("Kafka", stack.kafka.bootstrap_servers)
        table.add_row("Logs", str(self._settings.state / "logs"))
        self._console.print(table)
        self._console.print("\nCtrl-C ends it; the next `make run` continues.")

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        """Show that something is under way, and how long it took."""
        begun = time.monotonic()
        with self._console.status(f"{what} ..."):
            yield
        self._console.print(f"[green]✓[/green] {what} [dim]{time.monotonic() - begun:.1f} s[/dim]")

    def _report(self, death: Death) -> None:
        self._console.print(
            f"{death.name} ended (status {death.status}); it is started again in "
            f"{death.pause:g} s. Its log ends:",
            style="red",
        )
        self._console.print(death.log_end, markup=False, style="dim", soft_wrap=True)

    def _all_streamed(self) -> None:
        self._console.print("All ratings of the data have been streamed.")


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
