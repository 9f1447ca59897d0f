"""The item rows, read by a thread from the moment of the start, while the program is imported.

Importing takes one core some two seconds, in which Postgres would have nothing to do. What is here
needs little of the program itself.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass

import structlog

from predictor.progress import Progress
from recommender.errors import Unavailable
from storage.reading import ItemRows, ModelRecord, Snapshot, TruthReader

log = structlog.get_logger(__name__)

_SWITCH = 0.0005
"""Seconds for which an import keeps the interpreter from the thread that waits for it: of Python's
own 5 ms each, its few steps a part of the rows would take longer than the reading."""


@dataclass(frozen=True)
class EarlyRows:
    """All item rows of the model that served at some moment.

    Parameters
    ----------
    record : ModelRecord
        The model as of then.
    found : ItemRows
    """

    record: ModelRecord
    found: ItemRows

    def lead_to(self, record: ModelRecord) -> bool:
        """Whether a model's rows are these and those that were changed by later micro-batches."""
        return (
            record.model == self.record.model
            and record.row_format == self.record.row_format
            and record.as_of.batch >= self.record.as_of.batch
        )


class HeadStart:
    """Reads from when it is made, once; where that does not work, nothing is lost but time.

    Parameters
    ----------
    truth : TruthReader
        Its own; closed when all has been read.

    Attributes
    ----------
    progress : Progress
    """

    def __init__(self, truth: TruthReader) -> None:
        self.progress = Progress()
        self._truth = truth
        self._rows: EarlyRows | None = None
        # A daemon: a service that is told to end does not wait for it.
        self._thread = threading.Thread(target=self._run, name="head-start", daemon=True)
        self._thread.start()

    def take(self) -> EarlyRows | None:
        """What has been read, when that is done; None where there is no model, or no Postgres.

        Only the first time: whoever takes the rows may change them.
        """
        self._thread.join()
        rows, self._rows = self._rows, None
        return rows

    def _run(self) -> None:
        usual = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH)
        try:
            self._rows = self._truth.read(self._read)
        except (Unavailable, ValueError) as error:
            # Whoever wants the rows reads them again, and says what is wrong if it still is.
            log.info("no item rows have been read in advance", reason=str(error))
        finally:
            sys.setswitchinterval(usual)
            self._truth.close()

    def _read(self, snapshot: Snapshot) -> EarlyRows | None:
        record = snapshot.serving_model()
        if record is None:
            return None
        found = snapshot.item_rows(record.model, record.row_format, progress=self.progress.read)
        return EarlyRows(record, found)
