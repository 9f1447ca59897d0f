"""``python -m modeler verify``: does the truth agree with itself? Reads one snapshot only."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from psycopg2.extensions import cursor
from rich.console import Console
from rich.table import Table

from recommender.errors import RecommenderError
from recommender.settings import load
from storage.postgres_client import connect
from storage.settings import KafkaSettings, PostgresSettings


class VerifySettings(PostgresSettings, KafkaSettings):
    """Where the truth is, and which topic is that of the ratings."""


@dataclass(frozen=True)
class Sums:
    """Numbers of one model that must agree.

    Attributes
    ----------
    records_learned : int
        Records of the ratings topic up to the stored offsets, as far as the log kept them.
    dead_letters, duplicates : int
        Of these, those that could not be read, and those whose event id had been learned.
    withdrawals, withdrawn : int
        Of these, those that take back ratings, and the ratings that were taken back.
    ratings_stored : int
        Rows of the history, with multiplicity.
    counted_by_users, counted_by_items : int
        Sums of ``n`` over the rows of each side.
    rating_count : int
        Ratings in the model's μ.
    rating_sum, stored_sum : float
        Sum of the ratings in μ and in the history.
    """

    records_learned: int
    dead_letters: int
    duplicates: int
    withdrawals: int
    withdrawn: int
    ratings_stored: int
    counted_by_users: int
    counted_by_items: int
    rating_count: int
    rating_sum: float
    stored_sum: float

    @property
    def agree(self) -> bool:
        """Whether every rating has had its effect exactly once."""
        learned = self.records_learned - self.dead_letters - self.duplicates
        learned -= self.withdrawals + self.withdrawn
        numbers = {
            learned,
            self.ratings_stored,
            self.counted_by_users,
            self.counted_by_items,
            self.rating_count,
        }
        # Float sums depend on the order; one rating is far above this.
        close = abs(self.rating_sum - self.stored_sum) <= 1e-6 * max(1.0, abs(self.stored_sum))
        return len(numbers) == 1 and close


def sums(settings: VerifySettings) -> Sums:
    """Read those of the serving model, all at one moment; errors as of `sums_of_all`."""
    return next(iter(sums_of_all(settings).values()))


def sums_of_all(settings: VerifySettings) -> dict[int, Sums]:
    """Read those of each model that learns with the stream, the serving one first, at one moment.

    Raises
    ------
    RecommenderError
        If there is no serving model.
    Unavailable
        If Postgres does not answer.
    """
    with closing(connect(settings)) as opened:
        opened.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with opened.cursor() as cur:
            cur.execute(
                """SELECT model, rating_count, rating_sum FROM models
                   WHERE status IN ('candidate', 'serving') ORDER BY status DESC, model"""
            )
            if not (learning := cur.fetchall()):
                raise RecommenderError("there is no serving model yet: nothing to verify")
            topic = settings.ratings_topic
            dead_letters = _number(cur, "SELECT count(*) FROM dead_letters WHERE topic = %s", topic)
            # Each model measures the micro-batches that it has learned, some of them alone.
            duplicates, withdrawals, withdrawn = (
                _number(
                    cur,
                    f"""SELECT sum(of_batch) FROM
                        (SELECT max({what}) of_batch FROM micro_batches GROUP BY batch) each""",
                )
                for what in ("duplicates", "withdrawals", "withdrawn")
            )
            ratings_stored = _number(cur, "SELECT count(*) FROM ratings")
            stored_sum = _float(cur, "SELECT sum(rating::float8) FROM ratings")
            return {
                model: Sums(
                    records_learned=_number(
                        cur,
                        "SELECT sum(next_offset) FROM offsets WHERE model = %s AND topic = %s",
                        model,
                        topic,
                    ),
                    dead_letters=dead_letters,
                    duplicates=duplicates,
                    withdrawals=withdrawals,
                    withdrawn=withdrawn,
                    ratings_stored=ratings_stored,
                    counted_by_users=_number(
                        cur, "SELECT sum(n) FROM user_rows WHERE model = %s", model
                    ),
                    counted_by_items=_number(
                        cur, "SELECT sum(n) FROM item_rows WHERE model = %s", model
                    ),
                    rating_count=rating_count,
                    rating_sum=rating_sum,
                    stored_sum=stored_sum,
                )
                for model, rating_count, rating_sum in learning
            }


def _number(cur: cursor, query: str, *parameters: object) -> int:
    return int(_float(cur, query, *parameters))


def _float(cur: cursor, query: str, *parameters: object) -> float:
    cur.execute(query, parameters)
    found = cur.fetchone()
    return float(found[0] or 0) if found else 0.0


def verify(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check on a live system that every rating has had its effect exactly once.

    Exit code 1 where it has not.
    """
    found = sums_of_all(load(VerifySettings))
    agree = all(one.agree for one in found.values())
    serving, *others = found.items()
    if as_json:
        told = {str(model): {**asdict(one), "agree": one.agree} for model, one in others}
        typer.echo(json.dumps({**asdict(serving[1]), "candidates": told, "agree": agree}))
    else:
        for (model, one), status in zip(
            found.items(), ["serving", *["candidate"] * len(others)], strict=True
        ):
            table = Table("what", "number", title=f"Σ of model {model}, {status}")
            for name, number in asdict(one).items():
                table.add_row(name.replace("_", " "), f"{number:,}")
            table.add_row("agree", "yes" if one.agree else "NO", style="" if one.agree else "red")
            Console().print(table)
    if not agree:
        raise typer.Exit(1)
