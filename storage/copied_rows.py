"""Rows of one side as Postgres sends them by ``COPY ... TO STDOUT (FORMAT binary)``.

Several times quicker than a cursor, which gets bytes as hexadecimal text and makes objects of every
value. The format: PostgreSQL 16 Documentation, COPY, "Binary Format".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from recommender.rows import RowFormat, Rows

_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER = len(_SIGNATURE) + 8  # with the flags, and the length of an extension, which there is not
_BEFORE_ID = 2 + 4  # number of columns, length of the id
_END = 2  # bytes of what comes after the last row: a number of columns, -1


class CopiedRows:
    """A file for `cursor.copy_expert` to write ``id text, n integer, state bytea`` to.

    Parameters
    ----------
    row_format : RowFormat
        Of the states.
    most : int
        Rows that come at most.
    part : int
        Rows kept as Postgres sent them, before they become arrays.
    progress : callable
        Is told after each part how many rows have come.
    """

    def __init__(
        self, row_format: RowFormat, most: int, part: int, progress: Callable[[int], None]
    ) -> None:
        self._format = row_format
        self._part = part
        self._progress = progress
        # All that follows the id has the same length in every row.
        self._rest = np.dtype(
            [
                ("n_length", ">i4"),
                ("n", ">i4"),
                ("state_length", ">i4"),
                *((name, row_format.state[name]) for name in row_format.state.names or ()),
            ]
        )
        self._begun = False
        self._received: list[bytes] = []
        self._ids: list[str] = []
        self._rows = Rows.empty(most, row_format)  # memory that is not written to costs none

    def write(self, data: bytes) -> None:
        """Take one row: libpq gives them one by one, the header before the first."""
        if not self._begun:
            if not data.startswith(_SIGNATURE):
                raise ValueError(f"Postgres sends {data[:20]!r}, which is not its binary format")
            self._begun = True
            data = data[_HEADER:]
        if data:
            self._received.append(data)
        if len(self._received) >= self._part:
            self._parse()

    def taken(self) -> tuple[list[str], Rows]:
        """All ids, and the rows in their order.

        Raises
        ------
        ValueError
            If a row has another length than the format says.
        """
        self._parse()
        length = len(self._ids)
        whole = length == len(self._rows)
        return self._ids, self._rows if whole else self._rows.take(np.arange(length))

    def _parse(self) -> None:
        received, self._received = self._received, []
        if received and len(received[-1]) <= _END:
            received.pop()
        rest = self._rest.itemsize
        whole = min(map(len, received), default=0) >= _BEFORE_ID + rest
        found: npt.NDArray[np.void] = np.frombuffer(
            b"".join([row[-rest:] for row in received]) if whole else b"", self._rest
        )
        state = self._format.state.itemsize
        if (
            len(found) != len(received)
            or not ((found["n_length"] == 4) & (found["state_length"] == state)).all()
        ):
            raise ValueError(
                f"stored rows do not have the {state} bytes of rank {self._format.rank} "
                f"and ranking rank {self._format.ranking_rank}"
            )
        self._rows.put_packed(len(self._ids), found)
        self._ids += [str(row[_BEFORE_ID:-rest], "utf-8") for row in received]
        self._progress(len(self._ids))
