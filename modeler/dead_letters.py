"""``python -m modeler dead-letters``: see records that could not be learned, send them again.

Lists and replays from the truth; the dead-letter topic holds the same letters for other readers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Any, cast

import typer
from psycopg2.extensions import connection
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recommender.errors import InvalidInput, RecommenderError
from recommender.settings import load
from storage.log import Position, RatingLog
from storage.postgres_client import connect
from storage.settings import KafkaSettings, PostgresSettings

dead_letters = typer.Typer(
    no_args_is_help=True, help="Records that could not be learned: see them, send them again."
)

# Letters sent before their places are noted. A kill in between leaves so many in doubt.
_AT_ONCE = 100
# Characters of a value that a person sees.
_SHOWN = 60


class DeadLetterSettings(PostgresSettings, KafkaSettings):
    """Where the letters are kept, and where they are sent again."""


@dataclass(frozen=True)
class Kept:
    """A dead letter as the truth keeps it.

    Attributes
    ----------
    topic, partition, offset
        Where the record is in the log.
    reason : str
    key, value : bytes or None
    at : str
        When it was found bad, ISO 8601.
    replayed_at : str or None
        When it was sent again.
    replayed_to : Position or None
        Where; None where that is not known, see `replay`.
    """

    topic: str
    partition: int
    offset: int
    reason: str
    key: bytes | None
    value: bytes | None
    at: str
    replayed_at: str | None
    replayed_to: Position | None

    @property
    def place(self) -> str:
        """Topic, partition and offset in words."""
        return f"{self.topic} {self.partition}:{self.offset}"

    def shown(self) -> dict[str, Any]:
        """For JSON: text as far as the bytes are text, and cut."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "reason": self.reason,
            "key": shown(self.key),
            "value": shown(self.value),
            "bytes": len(self.value or b""),
            "at": self.at,
            "replayed_at": self.replayed_at,
            "replayed_to": None if self.replayed_to is None else self.replayed_to._asdict(),
        }


def shown(content: bytes | None) -> str | None:
    r"""Bytes as text that is safe on a terminal and short.

    Examples
    --------
    >>> shown(b'{"user":"\x1b[31m"}'), shown(b"\xff"), shown(None)
    ('{"user":"\\x1b[31m"}', '\\xff', None)
    """
    if content is None:
        return None
    text = content[: 4 * _SHOWN].decode(errors="backslashreplace")
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return safe if len(safe) <= _SHOWN else f"{safe[: _SHOWN - 3]}..."


_COLUMNS = """topic, partition, "offset", reason, key, value, at, replayed_at,
              replayed_partition, replayed_offset"""


def read(opened: connection, where: str = "true", *parameters: object) -> list[Kept]:
    """Those for which a condition holds, in the log's order.

    Parameters
    ----------
    opened : connection
    where : str
        SQL, may end in a LIMIT.
    """
    with opened.cursor() as cur:
        cur.execute(f"SELECT {_COLUMNS} FROM dead_letters WHERE {where}", parameters)
        found = cur.fetchall()
    letters = []
    for topic, partition, offset, reason, key, value, at, replayed_at, *to in found:
        letters.append(
            Kept(
                topic,
                partition,
                offset,
                reason,
                None if key is None else bytes(key),
                None if value is None else bytes(value),
                at.isoformat(),
                None if replayed_at is None else replayed_at.isoformat(),
                None if None in to else Position(topic, *to),
            )
        )
    return letters


def replay(
    settings: DeadLetterSettings,
    opened: connection,
    letters: Sequence[Kept],
    *,
    value: bytes | None = None,
    again: bool = False,
) -> list[Position]:
    """Send letters to their topic again, as new records, and note where they went.

    A new record is learned, or becomes a dead letter, like any other; so the sums that `verify`
    compares hold as before.

    Steps, for some letters at a time:

    1. note that they are being sent, and commit: where this process is killed after that, it is
       not known whether they were, and sending them again is refused unless asked for;
    2. send them; Kafka has acknowledged all;
    3. note where they are.

    Parameters
    ----------
    settings : DeadLetterSettings
    opened : connection
    letters : sequence of Kept
    value : bytes, optional
        Sent in place of the letter's own value, which stays as it is in the truth.
    again : bool
        Also letters that were sent again before.

    Returns
    -------
    list of Position
        Of each new record.

    Raises
    ------
    RecommenderError
        If a letter was sent again before, and not `again`.
    Unavailable
        If Kafka does not acknowledge; what had been sent is noted.
    """
    return asyncio.run(_replay(settings, opened, letters, value, again))


async def _replay(
    settings: DeadLetterSettings,
    opened: connection,
    letters: Sequence[Kept],
    value: bytes | None,
    again: bool,
) -> list[Position]:
    places: list[Position] = []
    async with RatingLog(settings) as log:
        for start in range(0, len(letters), _AT_ONCE):
            for topic in sorted({letter.topic for letter in letters[start : start + _AT_ONCE]}):
                some = [one for one in letters[start : start + _AT_ONCE] if one.topic == topic]
                _note_begun(opened, some, again)
                sent = [
                    (cast("bytes", one.key), one.value if value is None else value) for one in some
                ]
                found = await log.publish(topic, sent)
                _note_sent(opened, some, found)
                places += found
    return places


def _note_begun(opened: connection, letters: Sequence[Kept], again: bool) -> None:
    with opened, opened.cursor() as cur:
        for letter in letters:
            # The row is locked until the commit: of two who replay at once only one does it.
            cur.execute(
                """UPDATE dead_letters
                   SET replayed_at = now(), replayed_partition = NULL, replayed_offset = NULL
                   WHERE topic = %s AND partition = %s AND "offset" = %s
                     AND (replayed_at IS NULL OR %s)""",
                (letter.topic, letter.partition, letter.offset, again),
            )
            if cur.rowcount != 1:
                raise RecommenderError(
                    f"{letter.place} has been sent again before"
                    + (
                        f", to {letter.replayed_to.partition}:{letter.replayed_to.offset}"
                        if letter.replayed_to is not None
                        else " (whether it arrived is not known)"
                    )
                    + "; --again sends it once more"
                )


def _note_sent(opened: connection, letters: Sequence[Kept], places: Sequence[Position]) -> None:
    with opened, opened.cursor() as cur:
        cur.executemany(
            """UPDATE dead_letters SET replayed_partition = %s, replayed_offset = %s
               WHERE topic = %s AND partition = %s AND "offset" = %s""",
            [
                (place.partition, place.offset, letter.topic, letter.partition, letter.offset)
                for letter, place in zip(letters, places, strict=True)
            ],
        )


_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dead_letters.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest.")] = 100,
    as_json: _Json = False,
) -> None:
    """Show the records that could not be learned, why, and whether they were sent again."""
    with closing(connect(load(DeadLetterSettings))) as opened:
        letters = read(
            opened, 'true ORDER BY at DESC, topic, partition, "offset" DESC LIMIT %s', limit
        )
    letters.reverse()
    if as_json:
        typer.echo(json.dumps([letter.shown() for letter in letters]))
        return
    table = Table("record", "reason", "value", "sent again", title="Dead letters")
    for letter in letters:
        to = letter.replayed_to
        sent = (
            "" if letter.replayed_at is None else "not known" if to is None else f"{to[1]}:{to[2]}"
        )
        cells = (letter.place, letter.reason, shown(letter.value) or "", sent)
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)


@dead_letters.command("replay")
def replay_(
    every: Annotated[
        bool, typer.Option("--all", help="All that were not sent again before.")
    ] = False,
    topic: Annotated[str | None, typer.Option(help="Of this topic.")] = None,
    partition: Annotated[int | None, typer.Option(help="Of this partition.")] = None,
    offset: Annotated[int | None, typer.Option(help="The one at this offset.")] = None,
    value: Annotated[
        str | None, typer.Option(help="For a single one: what to send in its place.")
    ] = None,
    again: Annotated[bool, typer.Option(help="Also those that were sent again before.")] = False,
    as_json: _Json = False,
) -> None:
    """Send records that could not be learned again, after what was wrong is corrected.

    Choose them by --all, or by --topic, --partition and --offset.
    """
    settings = load(DeadLetterSettings)
    chosen = {
        column: given
        for column, given in (("topic", topic), ("partition", partition), ('"offset"', offset))
        if given is not None
    }
    if every == bool(chosen):
        raise InvalidInput("choice", "none" if not every else "both", "--all, or places")
    with closing(connect(settings)) as opened:
        conditions = [f"{column} = %s" for column in chosen]
        if not again and offset is None:
            conditions.append("replayed_at IS NULL")  # one that is named is refused, with the place
        where = " AND ".join(conditions or ["true"])
        letters = read(opened, f'{where} ORDER BY topic, partition, "offset"', *chosen.values())
        if not letters and chosen:
            raise RecommenderError("there is no such dead letter that waits to be sent again")
        if value is not None and len(letters) != 1:
            raise InvalidInput("value", f"for {len(letters)} letters", "one letter: name its place")
        places = replay(
            settings,
            opened,
            letters,
            value=None if value is None else value.encode(),
            again=again,
        )
    if as_json:
        typer.echo(json.dumps({"sent": [place._asdict() for place in places]}))
    else:
        typer.echo(f"{len(places)} sent again")
